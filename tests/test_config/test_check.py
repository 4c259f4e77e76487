"""What cannot work is found at once, with its key."""

import random
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

import sce_mm
from sce_mm.cli.dry_run import dry_run
from sce_mm.cli.runner import build_runner, require_batches
from sce_mm.config.check import check_sense
from sce_mm.config.names import ConfigError, check_overrides
from sce_mm.config.parts import hooks_of
from sce_mm.config.reading import read_config

CONFIGS = Path(sce_mm.__file__).parents[1] / 'configs'
FOLDER = CONFIGS / 'sce' / 'sce_resnet18_1xb64-coslr-200e_folder.py'


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp('images')
    draw = np.random.default_rng(0)
    for index in range(12):
        image = draw.integers(0, 255, (40, 40, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f'{index}.png'), image)
    return folder


def small(images, work_dir, **overrides):
    cfg = Config.fromfile(FOLDER)
    views = [
        dict(augmentation='weak', size=32),
        dict(augmentation='strong', size=32),
    ]
    cfg.merge_from_dict(
        {
            'train_dataloader.batch_size': 4,
            'train_dataloader.num_workers': 0,
            'train_dataloader.persistent_workers': False,
            'train_dataloader.dataset.data_root': str(images),
            'model.queue.length': 24,
            'model.backbone.base_channels': 4,
            'model.backbone.stem_channels': 4,
            'model.neck.in_channels': 32,
            'train_cfg.max_epochs': 4,
            'param_scheduler.warmup_epochs': 1,
            'work_dir': str(work_dir),
            'launcher': 'none',
        }
    )
    cfg.train_dataloader.dataset.pipeline[1].views = views
    cfg.merge_from_dict(overrides)
    return cfg


@pytest.mark.parametrize(
    ('key', 'value'),
    [
        ('runner_type', 'FlexibleRunner'),
        ('strategy', {'type': 'FSDPStrategy'}),
        ('strategy', {'type': 'DeepSpeedStrategy', 'zero_optimization': {}}),
        ('model_wrapper_cfg', {'type': 'MMFullyShardedDataParallel'}),
        ('optim_wrapper.type', 'DeepSpeedOptimWrapper'),
    ],
)
def test_sharded_training_is_refused_with_the_reason(
    images, tmp_path, key, value
):
    cfg = small(images, tmp_path)
    check_sense(cfg)
    cfg.merge_from_dict({key: value})
    message = rf'{key}.*is not supported(.|\n)*average of whole tensors'
    with pytest.raises(ConfigError, match=message):
        build_runner(cfg)


def test_everything_is_found_at_once(images, tmp_path):
    (tmp_path / 'file').touch()
    cfg = small(
        images,
        tmp_path / 'file' / 'below',
        **{
            'train_dataloader.batch_size': 0,
            'train_dataloader.dataset.data_root': 'no/such/folder',
            'model.head.loss.coeff': 1.5,
            'default_hooks.momentum_update.momentum': 0.99,
            'optim_wrapper.optimizer.lr': -1.0,
            'default_hooks.numerical_guard.pateince': 3,
            'param_scheduler.warmup_epochs': 9,
            'default_hooks.loger': dict(type='LoggerHook'),
        },
    )
    cfg.custom_hooks = [dict(interval=3)]
    with pytest.raises(ConfigError) as error:
        check_sense(cfg)
    message = str(error.value)
    assert message.startswith('10 thing(s) in the config cannot work:')
    for part in (
        'train_dataloader.batch_size: must be a positive whole number, got 0',
        "train_dataloader.dataset.data_root: no folder 'no/such/folder'",
        'model.head.loss: ValueError: coeff must be in [0, 1], got 1.5',
        'default_hooks.momentum_update: ValueError: ',
        'write 0.01',
        'default_hooks.numerical_guard: NumericalGuardHook has no argument '
        "'pateince'",
        'custom_hooks[0]: must be a dict with a type',
        'param_scheduler.warmup_epochs: must be from 0 to below the 4',
        'default_hooks.loger: mmengine has no default hook of this name (did '
        "you mean 'logger'?)",
        'optim_wrapper.optimizer: ValueError: ',
        'work_dir: cannot write to',
    ):
        assert part in message, message


@pytest.mark.parametrize(
    ('overrides', 'message'),
    [
        ({'model.queue.length': 3}, 'queue.length: the queue holds 3 keys'),
        (
            {'model.head.type': 'SCEHaed'},
            r"head.type: there is no 'SCEHaed' here .did you mean 'SCEHead'",
        ),
        (
            {'default_hooks.checkpoint.type': 'CheckpointHok'},
            "default_hooks.checkpoint.type: there is no 'CheckpointHok'",
        ),
        (
            {'param_scheduler.warmup_epochs': 4},
            'warmup_epochs: must be from 0 to below the 4 epochs',
        ),
        ({'model.num_target_views': 3}, 'views: 2 view.s., but the model'),
        (
            {'default_hooks.momentum_update': None},
            'exactly one MomentumUpdateHook is needed',
        ),
        (
            {
                'default_hooks.checkpoint': {
                    '_delete_': True,
                    'type': 'EMAHook',
                }
            },
            'PreemptionHook saves through DurableCheckpointHook',
        ),
        ({'train_dataloader.num_workers': -1}, 'num_workers: must be a whole'),
        (
            {'train_dataloader.persistent_workers': True},
            'persistent_workers: there are none with num_workers=0',
        ),
        (
            {'optim_wrapper.loss_scale': 'dynamic'},
            "optim_wrapper: OptimWrapper has no argument 'loss_scale'",
        ),
        *(
            ({'randomness.seed': wrong}, 'randomness.seed: must be a whole')
            for wrong in ('a', -1, 0.0, False, 2**32)
        ),
        ({'optim_wrapper.clip_grad': []}, 'clip_grad: must be a dict such as'),
        (
            {'model.data_preprocessor.std': [57.0, 57.0, float('inf')]},
            r'data_preprocessor.std\[2\]: must be a finite number, got inf',
        ),
        (
            {'train_dataloader.dataset.type': 'LoadImage'},
            "train_dataloader.dataset.type: there is no 'LoadImage' here",
        ),
        (
            {'model.neck.hid_channels': 'wide'},
            r'model.neck: TypeError: .*of NonLinearNeck with .*hid_chann',
        ),
        (
            {'model.neck.in_channels': 16},
            r'model: .*neck.in_channels is 16, but .* of width 32',
        ),
        (
            {
                'model.neck.with_avg_pool': False,
                'train_dataloader.dataset.pipeline.1.views.0.size': 64,
            },
            r'model.neck: does not take what comes before it, \[1, 32, ',
        ),
        (
            {'model.queue': None},
            'model: .*needs something to compare with',
        ),
        (
            {'model.momentum': 0.99},
            'model: .*MomentumUpdateHook.*for a decay of 0.99 write 0.01',
        ),
        (
            {'model.data_preprocessor.std': [57.0, 0.0, 57.0]},
            'data_preprocessor.std: pixels are divided by it',
        ),
        (
            {'default_hooks.checkpoint.interval': '1'},
            'default_hooks.checkpoint: ValueError: .*interval must be a whole',
        ),
        ({'model.neck': 3}, 'model.neck: must be a dict with a type, got 3'),
        ({'optim_wrapper': [1]}, r'optim_wrapper: must be a dict, got \[1\]'),
        (
            {'default_hooks.logger': 'x'},
            "default_hooks.logger: must be a dict, got 'x'",
        ),
    ],
)
def test_what_does_not_fit_is_named(images, tmp_path, overrides, message):
    with pytest.raises(ConfigError, match=message):
        check_sense(small(images, tmp_path, **overrides))


@pytest.mark.parametrize(
    ('key', 'value', 'message'),
    [
        ('dataset.with_lable', True, r'has no argument .*did you mean'),
        ('batch_size', '8', 'query.batch_size: must be a positive whole'),
        ('shuffel', True, "query: no option 'shuffel' .did you mean"),
        ('dataset.pipeline.0.type', 'SCE', r'pipeline\[0\].type: there is no'),
        ('dataset.pipeline', [None], r'pipeline\[0\]: must be a dict with a'),
    ],
)
def test_labelled_images_of_hooks_are_looked_at(
    images, tmp_path, key, value, message
):
    cfg = small(images, tmp_path)
    loader = dict(
        batch_size=4,
        dataset=dict(
            type='CustomDataset',
            data_root=str(images),
            pipeline=[dict(type='LoadImage'), dict(type='PackInputs')],
        ),
    )
    cfg.custom_hooks = [
        dict(type='OnlineKNNHook', bank=loader, query=loader, k=1)
    ]
    check_sense(cfg)
    cfg.merge_from_dict({f'custom_hooks.0.query.{key}': value})
    with pytest.raises(ConfigError, match=message):
        check_sense(cfg)


def test_what_works_is_let_through(images, tmp_path):
    state = np.random.get_state()[1].copy()
    check_sense(small(images, tmp_path))
    assert (np.random.get_state()[1] == state).all()
    check_sense(Config({'model': {'type': 'MoCo'}, 'work_dir': 'x'}))


WRONG = (None, -1, 0, 'wrong', [], {}, 1e9, 3.7, True)


def leaves(node, path=()):
    """Paths of all values of a config that are no containers."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from leaves(value, (*path, key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from leaves(value, (*path, index))
    else:
        yield path


SECTIONS = (
    'model',
    'train_dataloader',
    'optim_wrapper',
    'param_scheduler',
    'train_cfg',
    'default_hooks',
)
# mmengine takes and explains them.
NOT_OURS = {
    'runtime_info',
    'timer',
    'logger',
    'param_scheduler',
    'sampler_seed',
    'visualization',
}


def mutate(cfg, draw):
    """Change, misspell or remove one value; the path that was changed."""
    paths = [
        path
        for section in SECTIONS
        for path in leaves(cfg[section], (section,))
        if path[1] not in NOT_OURS
    ]
    path = draw.choice(paths)
    parent = cfg
    for key in path[:-1]:
        parent = parent[key]
    kind = draw.choice(('value', 'name', 'gone'))
    key = path[-1]
    if kind == 'value' or isinstance(key, int):
        parent[key] = draw.choice(WRONG)
    else:
        value = parent.pop(key)
        if kind == 'name':
            parent[key[:-1] + 'x'] = value
    return path


def fuzz(images, folder, seeds):
    for seed in seeds:
        cfg = small(images, folder)
        path = mutate(cfg, random.Random(seed))
        cfg.experiment_name = f'fuzz_{folder.name}_{seed}'
        cfg.log_level = 'ERROR'
        error = ''
        try:
            require_batches(build_runner(cfg))
        except ValueError as refusal:
            error = str(refusal)
        named = [str(key) for key in path if isinstance(key, str)]
        assert not error or any(n in error for n in named), (path, error)


@pytest.mark.integration
@pytest.mark.filterwarnings('ignore')
def test_mutated_configs_build_or_say_which_key(images, tmp_path):
    fuzz(images, tmp_path, range(30))


@pytest.mark.evidence
@pytest.mark.filterwarnings('ignore')
def test_two_hundred_mutated_configs(images, tmp_path):
    fuzz(images, tmp_path, range(200))


@pytest.mark.integration
def test_a_dry_run_trains_resumes_and_plans(images, tmp_path):
    cfg = small(images, tmp_path, **{'optim_wrapper.accumulative_counts': 2})
    told = dry_run(cfg, seconds=0)
    for line in (
        'images        12',
        'step          8 images (4 x 1 process(es) x 2 accumulated)',
        'steps         6: 4 epochs of 1.5',
        'learning rate 0 at the start, 0.015 at step 1, ',
        'queue         24 keys, the last 3 x images',
        'hours, from',
    ):
        assert line in told, told
    assert list(tmp_path.iterdir()) == []
    assert cfg.work_dir == str(tmp_path)


def test_in_batch_keys_need_two_images(images, tmp_path):
    options = {
        'train_dataloader.batch_size': 1,
        'model.head.in_batch_keys': True,
    }
    with pytest.raises(ConfigError, match='use a larger batch'):
        check_sense(small(images, tmp_path, **options))
    options['train_dataloader.batch_size'] = 2
    check_sense(small(images, tmp_path, **options))


def test_lists_and_prefixes_that_are_not_there(images, tmp_path):
    labelled = dict(
        type='CustomDataset',
        data_root=str(images),
        ann_file='meta.txt',
        data_prefix=dict(img_path='val'),
        pipeline=[],
    )
    cfg = small(images, tmp_path / 'work')
    cfg.train_dataloader.dataset.ann_file = 'list.txt'
    cfg.val_dataloader = dict(batch_size=4, dataset=labelled)
    with pytest.raises(ConfigError) as error:
        check_sense(cfg)
    for key, name in (
        ('train_dataloader.dataset.ann_file', 'list.txt'),
        ('val_dataloader.dataset.ann_file', 'meta.txt'),
        ('val_dataloader.dataset.data_prefix.img_path', 'val'),
    ):
        assert f'{key}: there is no {images / name}' in str(error.value)


def test_missing_data_set_says_which_file_goes_where(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = Config.fromfile(
        CONFIGS / 'sce' / 'sce_resnet18_1xb256-amp-coslr-200e_cifar10.py'
    )
    with pytest.raises(ConfigError) as error:
        check_sense(cfg)
    message = str(error.value)
    assert 'train_dataloader.dataset.data_root: no file' in message
    assert 'Nothing is downloaded: put cifar-10-python.tar.gz from' in message
    assert not (tmp_path / 'data').exists()


@pytest.mark.integration
@pytest.mark.parametrize(
    ('images_used', 'overrides', 'message'),
    [
        (1, {}, r'1 image\(s\) to train on: SCE compares images'),
        (3, {}, r'batch_size=3 model\.queue\.length=48$'),
        (3, {'batch_size': 1}, 'batch norm needs two images or more'),
        (9, {'drop_last': False}, '9 images in batches of 4 leave one by'),
        (
            4,
            {'dataset.pipeline.2.meta_keys': [[1]]},
            'dataset.pipeline: an image cannot be prepared: TypeError',
        ),
    ],
)
def test_images_that_make_no_batch_are_refused(
    images, tmp_path, images_used, overrides, message
):
    folder = tmp_path / 'few'
    folder.mkdir()
    for index in range(images_used):
        (folder / f'{index}.png').symlink_to(images / f'{index}.png')
    overrides = {f'train_dataloader.{k}': v for k, v in overrides.items()}
    cfg = small(folder, tmp_path / 'work', **overrides)
    cfg.experiment_name = f'no_batch_{hash(message)}'
    with pytest.raises(ValueError, match=message):
        require_batches(build_runner(cfg))


def test_hooks_of_ones_own_remove_none_of_ours(images, tmp_path):
    cfg = small(images, tmp_path)
    cfg.default_hooks.preemption = None
    cfg.custom_hooks = [dict(type='EMAHook')]
    kinds = [type(hook).__name__ for hook in build_runner(cfg).hooks]
    for _, hook in hooks_of(Config.fromfile(FOLDER)):
        assert (hook['type'] in kinds) == (hook['type'] != 'PreemptionHook')
    assert 'EMAHook' in kinds


def test_positions_of_hooks_are_answered_with_their_names(tmp_path):
    cfg = Config.fromfile(FOLDER)
    with pytest.raises(ConfigError, match='momentum_update'):
        check_overrides(cfg, {'custom_hooks.0.momentum': 0.02})
    old = tmp_path / 'old.py'
    old.write_text(
        f'_base_ = {str(FOLDER)!r}\n_base_.custom_hooks[0].momentum = 0.02\n'
    )
    with pytest.raises(ConfigError, match='momentum_update'):
        read_config(old)


def test_files_of_weights_are_looked_into(images, tmp_path):
    path = tmp_path / 'weights.pth'
    torch.save({'student.conv1.weight': torch.ones(1)}, path)
    loads = {'type': 'Pretrained', 'checkpoint': str(path)}
    for key, value in (
        ('load_from', str(path)),
        ('model.backbone.init_cfg', loads),
        ('model.neck.init_cfg', loads),
        ('model.init_cfg', loads),
    ):
        cfg = small(images, tmp_path / 'run', **{key: value})
        with pytest.raises(ConfigError, match=f'- {re.escape(key)}: '):
            check_sense(cfg)
    # What is resumed does not need them any more.
    check_sense(small(images, tmp_path / 'run', load_from='gone', resume=True))
    cfg = small(images, tmp_path / 'run')
    cfg.model.backbone.pretrained = str(path)
    with pytest.raises(ConfigError, match=r"model\.backbone: .*'pretrained'"):
        check_sense(cfg)
