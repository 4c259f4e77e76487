"""Misspelt names are found, and no name that something reads."""

import pytest
from mmengine.config import Config

import sce_mm  # noqa: F401  (registers what the configs name)
from sce_mm.config import ConfigError, check_config, override
from sce_mm.config.names import wrong_names


def check_names(**cfg):
    check_config(Config(cfg), training=False)


def test_names_that_something_reads_are_let_alone():
    hook = {'type': 'MomentumUpdateHook', 'priority': 'LOW'}
    # mmengine takes these two out itself.
    wrapper = {
        'type': 'BF16OptimWrapper',
        'constructor': 'DefaultOptimWrapperConstructor',
        'paramwise_cfg': {'bias_decay_mult': 0},
        'optimizer': {'type': 'LARSMoCoV3', 'lr': 1},
    }
    check_names(custom_hooks=[hook], optim_wrapper=wrapper)
    # Variables.
    check_names(data_root='x', train_pipeline=[], img=1)


def test_arguments_that_a_class_hands_on_count():
    dataset = {'type': 'ImageNet1k', 'max_unreadable': 0.1, 'ann_file': 'x'}
    check_names(train_dataloader={'dataset': dataset})
    dataset['anm_file'] = dataset.pop('ann_file')
    with pytest.raises(ConfigError, match=r"'anm_file' \(did you mean 'ann_"):
        check_names(train_dataloader={'dataset': dataset})


def test_an_override_must_start_at_something_that_exists():
    cfg = Config({'model': {'type': 'SCE'}, 'data_root': 'x'})
    override(cfg, ['model.queue.length=3', 'randomness.seed=1'])
    override(cfg, ['compile=True'])
    with pytest.raises(ConfigError, match=r"modl.queue \(did you mean 'mod"):
        override(cfg, ['modl.queue=3'])


@pytest.mark.parametrize(
    ('key', 'told'), [('optimiser', False), ('loss_scale', True)]
)
def test_amp_is_named_for_arguments_of_a_precision_alone(key, told):
    wrapper = {'type': 'OptimWrapper', 'optimizer': {'type': 'SGD'}, key: 1}
    (problem,) = wrong_names(Config({'optim_wrapper': wrapper}))
    assert f'no argument {key!r}' in problem
    assert ('--amp none' in problem) == told
