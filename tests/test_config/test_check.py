"""What cannot work is found at once, with its key."""

import copy
import random
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from image_files import write_noise
from mmengine.config import Config

import sce_mm
from sce_mm.cli.dry_run import dry_run, scratch_folder
from sce_mm.cli.runner import build_runner
from sce_mm.cli.training_images import require_batches
from sce_mm.config import (
    ConfigError,
    check_config,
    override,
    read_config,
    values,
)
from sce_mm.config.counts import processes
from sce_mm.config.epochs import count_samples
from sce_mm.config.parts import hooks_of
from sce_mm.utils.errors import UserError

CONFIGS = Path(sce_mm.__file__).parents[1] / 'configs'
FOLDER = CONFIGS / 'sce' / 'sce_resnet18_1xb64-coslr-200e_folder.py'
DENSE = CONFIGS / 'sce' / 'sce_resnet18_1xb64-dense-coslr-200e_folder.py'


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp('images')
    write_noise(folder, 12)
    return folder


def small(images, work_dir, recipe=FOLDER, **overrides):
    cfg = Config.fromfile(recipe)
    labelled = dict(
        batch_size=4,
        dataset=dict(
            type='CustomDataset',
            data_root=str(images),
            pipeline=[dict(type='LoadImage'), dict(type='PackInputs')],
        ),
    )
    cfg.merge_from_dict(
        {
            'train_dataloader.batch_size': 4,
            'train_dataloader.num_workers': 0,
            'train_dataloader.persistent_workers': False,
            'train_dataloader.dataset.data_root': str(images),
            'train_dataloader.dataset.pipeline.1.views': [
                dict(augmentation='weak', size=32),
                dict(augmentation='strong', size=32),
            ],
            'model.queue.length': 24,
            'model.backbone.base_channels': 4,
            'model.backbone.stem_channels': 4,
            'model.neck.in_channels': 32,
            # oneDNN ends the process at a step of so few channels_last
            # channels on processors whose widest vectors are those of AVX2.
            'model.channels_last': False,
            'train_cfg.max_epochs': 4,
            'param_scheduler.warmup_epochs': 1,
            'default_hooks.online_knn': dict(
                type='OnlineKNNHook', bank=labelled, query=labelled, k=1
            ),
            'work_dir': str(work_dir),
            'launcher': 'none',
        }
    )
    cfg.merge_from_dict(overrides)
    return cfg


def test_everything_is_found_in_one_message(images, tmp_path):
    (tmp_path / 'file').touch()
    cfg = small(
        images,
        tmp_path / 'file' / 'below',
        **{
            'train_dataloader.dataset.data_root': 'no/such/folder',
            'model.head.loss.coeff': 1.5,
            'default_hooks.checkpoint.out_dir': str(tmp_path / 'file'),
            'optim_wraper': {},
        },
    )
    cfg.custom_hooks = [dict(interval=3)]
    with pytest.raises(ConfigError) as error:
        check_config(cfg)
    message = str(error.value)
    assert message.startswith('6 problems in the config:')
    for part in (
        "train_dataloader.dataset.data_root: no folder 'no/such/folder'",
        'model.head.loss: coeff must be in [0, 1], got 1.5',
        "optim_wraper: nothing reads it (did you mean 'optim_wrapper'?)",
        'custom_hooks[0]: must be a dict with a type',
        'work_dir: cannot write to',
        'default_hooks.checkpoint.out_dir: cannot write to',
    ):
        assert part in message, message


LOADER, DATASET = 'train_dataloader', 'train_dataloader.dataset'
QUERY = 'default_hooks.online_knn.query'
PIXELS, PIPELINE = 'model.data_preprocessor', f'{DATASET}.pipeline'
# A map where rows are needed.
PREDICTOR = dict(type='GlobalAveragePooling')


@pytest.mark.parametrize(
    ('key', 'value', 'message'),
    [
        # Names.
        ('model.head.loss.coef', 0.5, r"'coef' \(did you mean 'coeff'"),
        ('default_scope', 'mmpretrian', "did you mean 'mmpretrain'"),
        ('model._scope_', 'mmdeet', "model._scope_: no package 'mmdeet'"),
        ('resume_from', 'x.pth', '--resume CKPT goes on'),
        ('optim_wrapper.loss_scale', 'dynamic', "no argument 'loss_scale'"),
        (f'{QUERY}.dataset.with_lable', True, "'with_lable' .did you mean"),
        (f'{QUERY}.shuffel', True, "query: no option 'shuffel' .did you"),
        # Types.
        ('model.head.type', 'SCEHaed', r"head.type: .*did you mean 'SCEHead'"),
        (f'{DATASET}.type', 'LoadImage', "dataset.type: there is no 'Load"),
        (f'{QUERY}.dataset.pipeline.0.type', 'SCE', r'pipeline\[0\].type: '),
        (f'{QUERY}.dataset.pipeline', [None], r'pipeline\[0\]: must be a'),
        ('model.neck', 3, 'model.neck: must be a dict with a type, got 3'),
        ('optim_wrapper', [1], r'optim_wrapper: must be a dict, got \[1\]'),
        ('default_hooks.logger', 'x', 'default_hooks.logger: must be a dict'),
        # All texts are true.
        ('model.backbone.norm_eval', 'off', 'True or False, got .off'),
        ('model.head.loss.official_zero_logit', 'no', 'zero_logit: expected'),
        (f'{LOADER}.sampler.shuffle', 'no', 'sampler.shuffle: expected True'),
        (f'{QUERY}.drop_last', 'maybe', 'query.drop_last: expected True'),
        ('optim_wrapper.optimizer.nesterov', 'no', 'nesterov: expected True'),
        # Sharded training.
        ('runner_type', 'FlexibleRunner', 'runner_type: .*not supported'),
        ('strategy', {'type': 'FSDPStrategy'}, 'strategy.*not supported'),
        ('optim_wrapper.type', 'DeepSpeedOptimWrapper', 'not supported'),
        # Arguments that a class refuses.
        (
            'default_hooks.momentum_update.momentum',
            0.99,
            'momentum_update: .*write 0.01',
        ),
        ('default_hooks.checkpoint.interval', '1', 'checkpoint: .*interval'),
        ('optim_wrapper.optimizer.lr', -1.0, r'lr: must be .*got -1.0'),
        ('optim_wrapper.optimizer.lr', 'fast', r"lr: must be .*got 'fast'"),
        (
            'model.neck.hid_channels',
            'wide',
            'neck: .*NonLinearNeck with .*hid',
        ),
        ('model.neck.in_channels', 16, 'in_channels is 16, but .*width 32'),
        ('model.neck.in_channels', 16, 'set model.neck.in_channels=32$'),
        ('model.queue', None, 'model: .*needs something to compare with'),
        # Values.
        ('randomness.seed', -1, 'randomness.seed: must be a whole'),
        ('randomness.seed', 2**32, 'randomness.seed: must be a whole'),
        (f'{LOADER}.batch_size', 1, 'batch_size: must be .* 2 or more, got 1'),
        (f'{QUERY}.batch_size', '8', 'query.batch_size: must be a whole'),
        ('auto_scale_lr.base_batch_size', None, 'size: must be a whole'),
        (f'{LOADER}.num_workers', 10**4, 'num_workers: expected at most'),
        (f'{LOADER}.persistent_workers', True, 'none with num_workers=0'),
        ('optim_wrapper.clip_grad', 1.0, 'clip_grad: must be a dict such as'),
        ('optim_wrapper.clip_grad', dict(max_norm=-1), 'above 0, got -1; opt'),
        ('optim_wrapper.optimizer.momentum', 5, 'momentum: .* below 1, got 5'),
        (
            'optim_wrapper.optimizer',
            dict(_delete_=True, type='Adam', lr=1, betas=(0.9, 1.0)),
            'betas: must be from 0 to below 1',
        ),
        (f'{PIXELS}.std', 0, 'pixels are divided by it'),
        (f'{PIXELS}.std', [57.0, 0.0, 57.0], 'pixels are divided by it'),
        (f'{PIXELS}.std', [5.0, 5.0, float('inf')], r'std\[2\]: must be a f'),
        ('model.queue.length', 3, 'model.queue.length: .*holds 3 keys'),
        ('model.num_target_views', 3, 'views: got 2, but the model'),
        (
            f'{PIPELINE}.1.deferred',
            True,
            'deferred: .*collate_fn.type=.*--device-views',
        ),
        ('default_hooks.momentum_update', None, 'exactly one MomentumUpdate'),
        (
            'default_hooks.checkpoint',
            {'_delete_': True, 'type': 'EMAHook'},
            'PreemptionHook saves through DurableCheckpointHook',
        ),
        ('param_scheduler.warmup_epochs', 4, 'warmup_epochs: .* the 4 epochs'),
        # Paths.
        (f'{DATASET}.ann_file', 'a.txt', 'dataset.ann_file: there is no'),
        (
            f'{QUERY}.dataset.data_prefix',
            dict(img_path='val'),
            'data_prefix.img_path: there is no',
        ),
    ],
)
def test_a_mistake_is_named(images, tmp_path, key, value, message):
    cfg = small(images, tmp_path)
    cfg.merge_from_dict({key: value})
    with pytest.raises(ConfigError, match=message):
        check_config(cfg)


@pytest.mark.parametrize(
    ('gives', 'pools', 'message'),
    [
        ('cls_token', True, 'a vector, .* set model.neck.with_avg_pool=False'),
        ('featmap', False, 'a map .* set model.neck.with_avg_pool=True'),
        ('raw', False, r"\[1, 5, 32\].* tokens, .*out_type='cls_token' and"),
        ('raw', True, "tokens, .* or model.backbone.out_type='featmap' and"),
    ],
)
def test_what_a_transformer_gives_a_neck_is_named(
    images, tmp_path, gives, pools, message
):
    cfg = small(images, tmp_path)
    cfg.model.backbone = dict(
        type='VisionTransformer',
        arch=dict(
            embed_dims=32, num_layers=1, num_heads=1, feedforward_channels=32
        ),
        img_size=32,
        out_type=gives,
    )
    cfg.model.neck.with_avg_pool = pools
    with pytest.raises(ConfigError, match=message):
        check_config(cfg)
    cfg.model.backbone.out_type = 'featmap' if pools else 'cls_token'
    check_config(cfg)


def test_what_works_is_let_through(images, tmp_path):
    state = np.random.get_state()[1].copy()
    check_config(small(images, tmp_path))
    assert (np.random.get_state()[1] == state).all()
    check_config(Config({'model': {'type': 'MoCo'}, 'work_dir': 'x'}))


def test_a_neck_that_does_not_take_what_comes_is_named(images, tmp_path):
    overrides = {
        'model.neck.with_avg_pool': False,
        f'{PIPELINE}.1.views.0.size': 64,
    }
    with pytest.raises(ConfigError, match=r'model.neck: .*\[1, 32, '):
        check_config(small(images, tmp_path, **overrides))


def dense(images, tmp_path, size=64, **overrides):
    """The recipe with a loss between places, on views of this size."""
    overrides = {
        f'{PIPELINE}.1.views.0.size': size,
        f'{PIPELINE}.1.views.1.size': size,
        'model.dense_neck.in_channels': 32,
        'model.dense_queue.length': 64,
        **overrides,
    }
    return small(images, tmp_path, DENSE, **overrides)


@pytest.mark.parametrize(
    ('key', 'value', 'message'),
    [
        ('train_cfg.max_epochs', 4, None),
        (
            f'{PIPELINE}.2.meta_keys',
            ['img_path'],
            r'\[2\].meta_keys: .*view_b',
        ),
        (f'{PIPELINE}.1.views.0.size', 32, 'dense_head.level: .* 1 x 1 c'),
        ('model.dense_queue.length', 15, 'x 4 places'),
        ('model.dense_head.gird', 2, "'gird' .did you mean 'grid'"),
        (
            'model.dense_head.predictor',
            PREDICTOR,
            'dense_head.predictor: does',
        ),
    ],
)
def test_parts_of_the_dense_loss_are_checked(
    images, tmp_path, key, value, message
):
    cfg = dense(images, tmp_path, **{key: value})
    if message is None:
        check_config(cfg)
    else:
        with pytest.raises(ConfigError, match=message):
            check_config(cfg)


@pytest.mark.parametrize(
    ('size', 'options'),
    [
        (64, 'out_indices=(2,3) level=0 in_channels=16'),
        # Here one cell is left, which is refused.
        (32, 'out_indices=(1,3) level=0 in_channels=8'),
        (128, None),
    ],
)
def test_the_stage_with_a_cell_for_each_place_is_named(
    images, tmp_path, monkeypatch, size, options
):
    said = []
    monkeypatch.setattr(sce_mm.config.building, 'warn', said.append)
    cfg = dense(images, tmp_path, size)
    try:
        check_config(cfg)
    except ConfigError as error:
        said.append(str(error))
    if options is None:
        assert not said
        return
    (text,) = said
    out_indices, level, channels = options.split()
    advice = (
        f"'model.backbone.{out_indices}' model.dense_head.{level} "
        f'model.dense_neck.{channels}'
    )
    assert advice in text
    said.clear()
    # As a shell takes the quotes away.
    override(cfg, shlex.split(advice))
    check_config(cfg)
    assert not said


def test_each_part_of_a_joined_data_set_must_give_boxes(images, tmp_path):
    cfg = dense(images, tmp_path)
    one = cfg.train_dataloader.dataset
    joined = dict(type='ConcatDataset', datasets=[one, copy.deepcopy(one)])
    cfg.train_dataloader.dataset = joined
    check_config(cfg)
    cfg.train_dataloader.dataset.datasets[1].pipeline[2].meta_keys = []
    with pytest.raises(ConfigError, match=r'datasets\[1\]\.pipeline\[2\]'):
        check_config(cfg)


def test_a_missing_data_set_says_which_file_goes_where(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = Config.fromfile(
        CONFIGS / 'sce' / 'sce_resnet18_1xb256-amp-coslr-200e_cifar10.py'
    )
    with pytest.raises(ConfigError) as error:
        check_config(cfg)
    assert 'dataset.data_root: no file' in str(error.value)
    assert 'put cifar-10-python.tar.gz from' in str(error.value)


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


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize(
    'seeds',
    [
        pytest.param(range(12), marks=pytest.mark.integration),
        pytest.param(range(200), marks=pytest.mark.evidence),
    ],
)
def test_mutated_configs_build_or_say_which_key(images, tmp_path, seeds):
    for seed in seeds:
        cfg = small(images, tmp_path)
        cfg.default_hooks.online_knn = None
        path = mutate(cfg, random.Random(seed))
        cfg.experiment_name = f'fuzz_{tmp_path.name}_{seed}'
        cfg.log_level = 'ERROR'
        error = ''
        try:
            require_batches(build_runner(cfg))
        except ValueError as refusal:
            error = str(refusal)
        named = [str(key) for key in path if isinstance(key, str)]
        assert not error or any(n in error for n in named), (path, error)


def test_a_dry_run_takes_no_folder_of_one_machine(tmp_path):
    for work_dir in (tmp_path, tmp_path / 'a' / 'b'):
        cfg = Config({'work_dir': str(work_dir), 'launcher': 'none'})
        with scratch_folder(cfg) as scratch:
            assert Path(scratch).parent == tmp_path
        with pytest.raises(UserError), scratch_folder(cfg):
            raise UserError('refused')
        assert not list(tmp_path.iterdir())


@pytest.mark.integration
def test_a_dry_run_trains_resumes_and_plans(images, tmp_path, capsys):
    cfg = small(images, tmp_path, **{'optim_wrapper.accumulative_counts': 2})
    cfg.default_hooks.online_knn = None
    plan = dry_run(cfg, seconds=0)
    lines = plan.splitlines()
    said = (
        'images   12; 4 epochs of 1.5 steps = 6 steps',
        'step     8 images (4 x 2 accumulated), queue of 24 keys, learning '
        'rate 0, 0.03 at step 2, ',
        'network  ResNet 18, ',
        'cost     ',
        f'result   in {tmp_path}; all parts work',
    )
    for line, begin in zip(lines, said, strict=True):
        assert line.startswith(begin), plan
    assert re.search('(hours|minutes|seconds), from', lines[3])
    assert 'views: 2 of 32 px' in lines[2]
    assert capsys.readouterr().out == ''
    assert list(tmp_path.iterdir()) == []
    assert cfg.work_dir == str(tmp_path)


@pytest.mark.integration
@pytest.mark.parametrize(
    ('images_used', 'overrides', 'message'),
    [
        (1, {}, r'full batch \(1 of 4\)'),
        (3, {}, r'batch_size=3 model\.queue\.length=3$'),
        (9, {'drop_last': False}, '9 images in batches of 4 leave one by'),
        (
            4,
            {'dataset.pipeline.2.meta_keys': [[1]]},
            'dataset.pipeline: an image cannot be prepared: TypeError',
        ),
    ],
)
def test_images_that_make_no_batch_are_refused(
    tmp_path, images_used, overrides, message
):
    folder = tmp_path / 'few'
    folder.mkdir()
    write_noise(folder, images_used)
    overrides = {f'train_dataloader.{k}': v for k, v in overrides.items()}
    cfg = small(folder, tmp_path / 'work', **overrides)
    cfg.experiment_name = f'no_batch_{hash(message)}'
    with pytest.raises(ValueError, match=message):
        require_batches(build_runner(cfg))


@pytest.mark.integration
@pytest.mark.parametrize(
    'changes',
    [
        {'model.queue.length': 64},
        {'model.queue.length': 64, 'optim_wrapper.accumulative_counts': 4},
        # Without a queue, no length of one is advised.
        {'model.queue': None, 'model.head.in_batch_keys': True},
    ],
)
def test_a_smaller_batch_that_is_advised_is_accepted(tmp_path, changes):
    folder = tmp_path / 'few'
    folder.mkdir()
    write_noise(folder, 12)
    cfg = small(folder, tmp_path / 'work', **changes)
    cfg.train_dataloader.batch_size = 16
    cfg.default_hooks.online_knn = None
    cfg.experiment_name = f'refused_{tmp_path.name}'
    with pytest.raises(UserError, match='for example') as refused:
        require_batches(build_runner(copy.deepcopy(cfg)))
    _, _, words = str(refused.value).partition('--cfg-options ')
    override(cfg, words.split())
    cfg.experiment_name = f'accepted_{tmp_path.name}'
    require_batches(build_runner(cfg))
    assert cfg.train_dataloader.batch_size == 8


def test_hooks_of_ones_own_remove_none_of_ours(images, tmp_path):
    cfg = small(images, tmp_path)
    cfg.default_hooks.preemption = None
    cfg.custom_hooks = [dict(type='EMAHook')]
    kinds = [type(hook).__name__ for hook in build_runner(cfg).hooks]
    for _, hook in hooks_of(Config.fromfile(FOLDER)):
        assert (hook['type'] in kinds) == (hook['type'] != 'PreemptionHook')
    assert 'EMAHook' in kinds


def test_files_of_weights_are_looked_into(images, tmp_path):
    path = tmp_path / 'weights.pth'
    torch.save({'student.conv1.weight': torch.ones(1)}, path)
    loads = {'type': 'Pretrained', 'checkpoint': str(path)}
    for key, value in (
        ('load_from', str(path)),
        ('model.neck.init_cfg', loads),
    ):
        cfg = small(images, tmp_path / 'run', **{key: value})
        with pytest.raises(ConfigError, match=re.escape(key)):
            build_runner(cfg)


def test_an_epoch_has_each_part_as_often_as_it_is_repeated(tmp_path):
    cfg = read_config('sce_resnet18_1xb64-coslr-200e_folder')
    write_noise(tmp_path, 4)
    part = {**cfg.train_dataloader.dataset, 'data_root': str(tmp_path)}
    thrice = {'type': 'RepeatDataset', 'times': 3, 'dataset': part}
    cfg.train_dataloader.dataset = {
        'type': 'ConcatDataset',
        'datasets': [thrice, part],
    }
    assert count_samples(cfg) == 16


@pytest.mark.parametrize(
    ('launcher', 'variable'),
    [
        ('pytorch', 'WORLD_SIZE'),
        ('slurm', 'SLURM_NTASKS'),
        ('mpi', 'OMPI_COMM_WORLD_SIZE'),
        ('none', 'WORLD_SIZE'),
    ],
)
def test_processes_of_each_launcher_are_counted(
    monkeypatch, launcher, variable
):
    monkeypatch.setenv(variable, '4')
    count = 1 if launcher == 'none' else 4
    assert processes(Config({'launcher': launcher})) == count


def test_a_loop_without_epochs_needs_the_length_of_the_schedule():
    loop = {'type': 'IterBasedTrainLoop', 'max_iters': 12}
    schedule = {'type': 'WarmupCosineLR', 'warmup_epochs': 1}
    cfg = Config({'train_cfg': loop, 'param_scheduler': schedule})
    (problem,) = values.wrong_schedules(cfg)
    assert problem.startswith('param_scheduler.end: an IterBasedTrainLoop')
    cfg.param_scheduler.end = 2.4
    assert list(values.wrong_schedules(cfg)) == []
