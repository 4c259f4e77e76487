"""Misspelt names are found, all at once, with the nearest right one."""

import pytest
from mmengine.config import Config

import sce_mm  # noqa: F401  (registers what the configs name)
from sce_mm.config.names import ConfigError, check_config, check_overrides


def test_every_wrong_name_is_listed():
    cfg = Config(
        {
            'model': {
                'type': 'SCE',
                'head': {
                    'type': 'SCEHead',
                    'loss': {'type': 'SCELoss', 'coef': 0.5, 'lambd': 0.5},
                },
            },
            'optim_wraper': {},
            'custom_hooks': [
                {'type': 'mmpretrain.MomentumUpdateHook', 'momentm': 0.1}
            ],
        }
    )
    with pytest.raises(ConfigError) as error:
        check_config(cfg)
    message = str(error.value)
    assert message.startswith('4 wrong name(s) in the config:')
    assert "optim_wraper: nothing reads it (did you mean 'optim_wr" in message
    assert "no argument 'coef' (did you mean 'coeff'?)" in message
    assert "model.head.loss: SCELoss has no argument 'lambd'; it" in message
    assert 'custom_hooks[0]: MomentumUpdateHook has no argument' in message


def test_what_mmengine_takes_out_itself_is_no_mistake():
    hook = {'type': 'MomentumUpdateHook', 'priority': 'LOW'}
    wrapper = {
        'type': 'BF16OptimWrapper',
        'constructor': 'DefaultOptimWrapperConstructor',
        'paramwise_cfg': {'bias_decay_mult': 0},
        'optimizer': {'type': 'LARSMoCoV3', 'lr': 1},
    }
    check_config(Config({'custom_hooks': [hook], 'optim_wrapper': wrapper}))


def test_arguments_that_a_class_hands_on_count():
    dataset = {
        'type': 'ImageNet1k',
        'data_root': 'x',
        'max_unreadable': 0.1,
        'ann_file': 'some.txt',
        'pipeline': [],
    }
    check_config(Config({'train_dataloader': {'dataset': dataset}}))
    dataset['anm_file'] = dataset.pop('ann_file')
    with pytest.raises(ConfigError, match=r"'anm_file' \(did you mean 'ann_"):
        check_config(Config({'train_dataloader': {'dataset': dataset}}))


def test_a_scope_is_an_installed_package():
    check_config(Config({'default_scope': 'mmpretrain'}))
    wrong = {
        'default_scope': 'mmpretrian',
        'model': {'type': 'SCE', '_scope_': 'mmdeet'},
        'custom_hooks': [{'type': 'X', '_scope_': 3}],
    }
    with pytest.raises(ConfigError) as error:
        check_config(Config(wrong))
    for line in (
        "default_scope: no package 'mmpretrian' is installed (did you mean "
        "'mmpretrain'?)",
        "model._scope_: no package 'mmdeet' is installed (did you mean ",
        'custom_hooks[0]._scope_: must be the name of a package, got 3',
    ):
        assert line in str(error.value)


def test_variables_of_a_config_are_let_alone():
    check_config(Config({'data_root': 'x', 'train_pipeline': [], 'img': 1}))


def test_an_override_must_start_at_something_that_exists():
    cfg = Config({'model': {'type': 'SCE'}, 'data_root': 'x'})
    check_overrides(cfg, {'model.queue.length': 3, 'randomness.seed': 1})
    check_overrides(cfg, {'compile': True, 'compile.backend': 'eager'})
    with pytest.raises(ConfigError, match=r"modl.queue \(did you mean 'mod"):
        check_overrides(cfg, {'modl.queue': 3})
