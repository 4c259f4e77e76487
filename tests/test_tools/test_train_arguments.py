"""What the options of tools/train.py write into a config, or refuse."""

import sys

import pytest
import torch
from fresh_names import forget_runners
from image_files import write_noise
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import VISBACKENDS
from mmengine.visualization import Visualizer
from torch import nn

from sce_mm.cli import config_edits, image_options, log_services
from sce_mm.cli.commands import train
from sce_mm.cli.config_edits import load_config, set_pretrained
from sce_mm.cli.exit import message_of
from sce_mm.cli.run_start import choose_start
from sce_mm.cli.runner import twice_normalised
from sce_mm.config import machine
from sce_mm.config.parts import find_hook
from sce_mm.engine import PretrainedBackboneHook
from sce_mm.evaluation.loaders import build_labelled_loaders
from sce_mm.utils.errors import UserError

RECIPES = [
    'sce_resnet18_1xb64-coslr-200e_folder',
    'sce_resnet50_1xb128-amp-coslr-200e_folder',
]


@pytest.fixture
def applied(root):
    """``applied(recipe, *options)``: the config after the command line."""

    def apply(recipe, *options):
        config = root / 'configs' / 'sce' / f'{recipe}.py'
        args = train.parse_args([str(config), *options])
        cfg = load_config(args)
        train.apply_arguments(cfg, args)
        return cfg

    return apply


@pytest.fixture(scope='module')
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp('photos')
    write_noise(folder, 6)
    return folder


@pytest.mark.parametrize(
    ('words', 'named'),
    [
        ('--data {tmp}/none', ['--data', '{tmp}/none']),
        ('--data {photos} {photos}/0.png', ['--data', '{photos}/0.png']),
        ('--data {tmp}', ['--work-dir: {tmp}/work lies in', '{tmp}']),
        ('--data {photos}', ['(6 of 64)', '--batch-size 6 --cfg-options']),
        ('--regions 16', ['(36 of 64)', '--batch-size 8 ']),
        ('--regions 32 --boxes {photos}/0.png', ['--boxes', '--regions auto']),
        ('--regions auto --boxes {tmp}/l.json', ['--boxes', '{tmp}/l.json']),
        ('--data {tmp} --regions 32', ['no image', '{tmp}']),
        ('--regions-per-image 3', ['--regions-per-image', '--regions 128']),
        ('--pretrained {tmp}/b.pth', ['--pretrained', '{tmp}/b.pth']),
        ('--resume {tmp}/c.pth', ['--resume', '{tmp}/c.pth']),
        ('--init-from {tmp}/d.pth', ['--init-from', '{tmp}/d.pth']),
        ('--continue-for 5', ['--continue-for', '{tmp}/work']),
        ('--init-from {photos}/1.png', ['{photos}/1.png']),
        ('--launcher pytorch', ['--launcher pytorch', 'RANK']),
        ('--cfg-options model.head=(1,', ['--cfg-options', '(1,']),
        ('--cfg-options modl.depth=1', ['--cfg-options', "'model'"]),
        ('--cfg-options model.head.loss.lamda=0.5', ["argument 'lamda'"]),
        (
            '--regions 16 --cfg-options '
            'train_dataloader.dataset.dataset.pipeline.2.views.0.size=32',
            ['train_dataloader.dataset.dataset has no type', 'before --data'],
        ),
    ],
)
def test_a_mistake_is_one_message_that_names_what_was_typed(
    root, photos, tmp_path, monkeypatch, capsys, words, named
):
    for name in ('RANK', 'LOCAL_RANK'):
        monkeypatch.delenv(name, raising=False)
    config = root / 'configs' / 'sce' / f'{RECIPES[0]}.py'
    words = words.format(tmp=tmp_path, photos=photos).split()
    if '--work-dir' not in words:
        words = ['--work-dir', str(tmp_path / 'work'), *words]
    if '--data' not in words:
        words = ['--data', str(photos), *words]
    # It is held back there, and nothing may have been released.
    monkeypatch.setattr(sys, 'stdout', sys.stdout)
    with pytest.raises((ValueError, OSError, SystemExit)) as error:
        train.main([str(config), *words])
    forget_runners()
    out, err = capsys.readouterr()
    # Arguments that are wrong by themselves end the command.
    ended = isinstance(error.value, SystemExit)
    message = err if ended else message_of(error.value)
    assert message, repr(error.value)
    for name in named:
        assert name.format(tmp=tmp_path, photos=photos) in message
    assert out == ''


@pytest.mark.parametrize('words', [[], ['--resume']])
def test_the_rate_of_another_batch_is_said_of_runs_that_may_go_on(
    photos, words
):
    options = ['--data', str(photos), '--batch-size', '4', *words]
    args = train.parse_args([RECIPES[0], *options])
    rate, queue = train.apply_arguments(load_config(args), args)
    assert rate.startswith('--batch-size 4: train_dataloader.batch_size 64')
    kept = 'but a run that goes on keeps that of its checkpoint'
    assert (kept in rate) == bool(words)
    assert queue.startswith('--batch-size 4: as in the config')


def test_the_pixels_of_a_pretraining_are_normalised_once(applied):
    cfg = applied(RECIPES[0])
    assert [*twice_normalised(cfg)] == []
    cfg.train_dataloader.dataset.pipeline.insert(1, {'type': 'Normalize'})
    (problem,) = twice_normalised(cfg)
    assert 'train_dataloader has Normalize: it normalises' in problem
    # Its file then does not say how, and whoever takes it has to.
    cfg.model.data_preprocessor.mean = None
    assert [*twice_normalised(cfg)] == []


@pytest.mark.parametrize(
    ('config', 'words'),
    [
        ({'default_scope': 'mmdet'}, '--init-from is for pretrainings'),
        (
            {'custom_hooks': [{'type': 'PretrainedBackboneHook'}]},
            '--init-from would load over it',
        ),
        # In configs in pure Python.
        (
            {'default_hooks': {'mine': {'type': PretrainedBackboneHook}}},
            '--init-from would load over it',
        ),
    ],
)
def test_a_backbone_comes_in_one_way(tmp_path, config, words):
    path = tmp_path / 'a.pth'
    torch.save({}, path)
    args = train.parse_args([RECIPES[0], '--init-from', str(path)])
    cfg = Config({'work_dir': str(tmp_path), **config})
    with pytest.raises(UserError, match=words):
        choose_start(cfg, args)


@pytest.mark.parametrize(
    ('words', 'device', 'narrow', 'trains', 'noted'),
    [
        ([], 'cuda', False, 'AmpOptimWrapper', ''),
        ([], 'cpu', True, 'BF16OptimWrapper', 'bfloat16'),
        ([], 'cpu', False, 'OptimWrapper', 'float32'),
        (['--amp', 'bfloat16'], 'cpu', False, 'OptimWrapper', 'float32'),
        (['--amp', 'bfloat16'], 'cuda', False, 'BF16OptimWrapper', ''),
        (['--amp', 'none'], 'cuda', False, 'OptimWrapper', ''),
        (['--amp'], 'cuda', False, 'AmpOptimWrapper', ''),
    ],
)
def test_the_precision_is_one_that_the_device_has(
    applied, monkeypatch, words, device, narrow, trains, noted
):
    monkeypatch.setattr(machine, 'computes_in_bfloat16', lambda: narrow)
    cfg = applied(RECIPES[1], *words)
    note = machine.fit_precision(cfg, device)
    assert cfg.optim_wrapper.type == trains
    assert (noted in note) if noted else note == ''
    # It refuses to be built without a GPU.
    if trains != 'AmpOptimWrapper':
        build_optim_wrapper(nn.Linear(2, 2), cfg.optim_wrapper)


def test_a_gpu_fetches_images_from_pinned_memory_unless_told_not_to(applied):
    words = (
        [],
        ['--cfg-options', 'train_dataloader.pin_memory=False'],
    )
    for device, pinned in (('cuda', [True, False]), ('cpu', [None, False])):
        configs = [applied(RECIPES[0], *each) for each in words]
        for cfg in configs:
            machine.pin_images(cfg, device)
        found = [cfg.train_dataloader.get('pin_memory') for cfg in configs]
        assert found == pinned, device


@pytest.mark.parametrize('scope', ['mmdet', 'mmseg'])
@pytest.mark.parametrize('wrapper', ['AmpOptimWrapper', 'BF16OptimWrapper'])
def test_operations_of_mmcv_have_no_bfloat16_on_a_processor(
    monkeypatch, scope, wrapper
):
    monkeypatch.setattr(machine, 'computes_in_bfloat16', lambda: True)
    cfg = Config({'default_scope': scope, 'optim_wrapper': {'type': wrapper}})
    assert 'training in float32' in machine.fit_precision(cfg, 'cpu')
    assert cfg.optim_wrapper.type == 'OptimWrapper'


@pytest.mark.parametrize(
    ('recipe', 'options', 'warmup'),
    [
        (RECIPES[0], [], 5),
        (RECIPES[0], ['train_cfg.max_epochs=1'], 5 / 200),
        (RECIPES[1], ['train_cfg.max_epochs=10'], 10 * 10 / 200),
        (
            RECIPES[0],
            ['train_cfg.max_epochs=2', 'param_scheduler.warmup_epochs=3'],
            3,
        ),
    ],
)
def test_a_warm_up_is_shortened_along_with_the_run(
    applied, monkeypatch, recipe, options, warmup
):
    said = []
    monkeypatch.setattr(config_edits, 'warn', said.append)
    cfg = applied(recipe, *(['--cfg-options', *options] if options else []))
    assert cfg.param_scheduler.warmup_epochs == pytest.approx(warmup)
    changed = warmup not in (3, 5, 10)
    assert any('warmup_epochs: ' in line for line in said) == changed


def test_services_that_follow_the_run_are_one_option(applied, monkeypatch):
    monkeypatch.setattr(log_services, 'find_spec', lambda name: name)
    there = dict(type='AimVisBackend', init_kwargs=dict(repo='elsewhere'))
    cfg = applied(RECIPES[0], '--log-to', *log_services.SERVICES)
    cfg.visualizer.vis_backends.append(there)
    for backend in cfg.visualizer.vis_backends[:-1]:
        VISBACKENDS.build({**backend, 'save_dir': 'logs'})
    # What the config says of a service stays; the others are replaced.
    log_services.log_to(cfg, ['aim', 'wandb'])
    local, aim, wandb = cfg.visualizer.vis_backends
    assert local == dict(type='LocalVisBackend')
    assert aim == there
    assert wandb.init_kwargs.name == RECIPES[0]
    assert (
        len(applied(RECIPES[0], '--log-to', 'none').visualizer.vis_backends)
        == 1
    )


def test_a_service_without_its_package_is_one_sentence(applied, monkeypatch):
    monkeypatch.setattr(log_services, 'find_spec', lambda name: None)
    with pytest.raises(UserError, match=r'^--log-to dvclive: .*pip install'):
        applied(RECIPES[0], '--log-to', 'dvclive')


def test_a_service_that_cannot_begin_is_one_sentence():
    class ClearMLVisBackend:
        @property
        def experiment(self):
            raise RuntimeError('no account\nand more')

    visualizer = Visualizer()
    visualizer._vis_backends = {'clearml': ClearMLVisBackend()}
    with pytest.raises(UserError, match=r'^clearml cannot .*: no account\. -'):
        log_services.begin_services(visualizer)


def test_views_on_the_device_are_one_option(applied):
    plain = applied(RECIPES[0])
    assert 'deferred' not in plain.train_dataloader.dataset.pipeline[1]
    cfg = applied(RECIPES[0], '--device-views')
    assert cfg.train_dataloader.dataset.pipeline[1].deferred is True
    assert cfg.train_dataloader.collate_fn.type == 'pseudo_collate'
    assert cfg.model.data_preprocessor.type == 'ViewPreprocessor'
    assert (
        cfg.model.data_preprocessor.mean == plain.model.data_preprocessor.mean
    )


def test_knn_on_two_folders_is_one_option(applied, tmp_path):
    for part, classes in (('bank', 'abc'), ('query', 'bc')):
        for name in classes:
            folder = tmp_path / part / name
            folder.mkdir(parents=True)
            write_noise(folder, 10)
    words = ('--knn', str(tmp_path / 'bank'), str(tmp_path / 'query'))

    levels = 'train_dataloader.dataset.pipeline.0.stretch=[7,99]'
    cfg = applied(RECIPES[0], *words, '--cfg-options', levels)
    hook = find_hook(cfg, 'OnlineKNNHook')

    bank, query = build_labelled_loaders(hook.bank, hook.query, 0)
    assert hook.k == 15
    for part in ('bank', 'query'):
        # Of the training.
        assert hook[part].dataset.pipeline[0].stretch == (7, 99)
    assert bank.dataset.CLASSES == query.dataset.CLASSES == tuple('abc')
    side = applied(RECIPES[0]).train_dataloader.dataset.pipeline[1].views[0]
    assert query.dataset[0]['inputs'].shape == (3, side['size'], side['size'])
    without = applied(RECIPES[0], *words, '--no-validate')
    assert find_hook(without, 'OnlineKNNHook') is None
    with pytest.raises(SystemExit):
        applied(RECIPES[0], '--knn', 'nowhere', words[1])
    linear = 'resnet18_sce-pre_1xb256-linear-steplr-100e_cifar10'
    with pytest.raises(ValueError, match='--knn is for pretraining'):
        applied(f'benchmarks/{linear}', *words)


def detector(**init_cfg):
    loads = {'type': 'Pretrained', 'checkpoint': 'backbone.pth'}
    head = {'type': 'ResLayer', **init_cfg}
    return Config(
        {
            'model': {
                'backbone': {'type': 'ResNet', 'init_cfg': loads},
                'roi_head': {'shared_head': head},
            }
        }
    )


def test_pretrained_goes_to_all_that_loads_a_backbone(applied, tmp_path):
    path = tmp_path / 'mine.pth'
    path.touch()
    cfg = detector(init_cfg={'type': 'Pretrained', 'checkpoint': 'other.pth'})
    set_pretrained(cfg, str(path))
    assert cfg.model.backbone.init_cfg.checkpoint == str(path)
    assert cfg.model.roi_head.shared_head.init_cfg.checkpoint == str(path)
    # A classifier takes it through its hook.
    recipe = 'benchmarks/resnet50_sce-pre_8xb128-linear-coslr-90e_in1k'
    cfg = applied(recipe, '--pretrained', str(path))
    assert cfg.default_hooks.pretrained_backbone.checkpoint == str(path)
    with pytest.raises(ValueError, match='ResLayer of this one has init_cfg='):
        set_pretrained(detector(), str(path))


def test_regions_count_the_steps_of_the_batch_that_was_asked_for(
    applied, photos, monkeypatch
):
    lines = []
    monkeypatch.setattr(
        image_options, 'print_log', lambda line, **_: lines.append(line)
    )
    words = ['--data', str(photos), '--regions', '16', '--batch-size', '4']
    applied(RECIPES[0], *words)
    assert lines[0].endswith('an epoch is 36 samples, 9 steps of 4')


def test_a_dry_run_begins_where_a_training_would_and_resumes_nothing(
    tmp_path, photos, monkeypatch, capsys
):
    monkeypatch.setattr(train, 'hold_output', lambda: None)
    monkeypatch.setattr('sce_mm.cli.dry_run.dry_run', lambda *_: 'the plan')
    words = [RECIPES[0], '--data', str(photos), '--dry-run', '--work-dir']
    train.main([*words, str(tmp_path), '--resume'])
    (tmp_path / 'epoch_3.pth').touch()
    assert capsys.readouterr().out == 'the plan\n'
    with pytest.raises(UserError, match='a new one would write over it'):
        train.main([*words, str(tmp_path)])
    with pytest.raises(UserError, match='--dry-run plans a new run'):
        train.main([*words, str(tmp_path), '--resume'])
