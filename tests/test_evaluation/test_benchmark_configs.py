"""Configs of classifiers: names, protocols, and two iterations of each."""

import itertools
import json
import re
from functools import cache
from pathlib import Path

import pytest
import torch
from evaluation_toys import write_digits
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner
from mmpretrain.registry import MODELS

import sce_mm
from sce_mm.evaluation.images import crop_pipeline

CONFIGS = Path(sce_mm.__file__).parents[1] / 'configs'
FILES = sorted((CONFIGS / 'sce' / 'benchmarks').glob('*.py'))
BY_STEM = {path.stem: path for path in FILES}
LINEAR = [path for path in FILES if '-linear-' in path.stem]

# By the last field of a name: data set, classes, and the base whose pixel
# statistics the pretraining has.
DATA = {
    'in1k': ('ImageNet1k', 1000, None),
    'in1k-1pct': ('ImageNet1k', 1000, None),
    'in1k-10pct': ('ImageNet1k', 1000, None),
    'in100': ('ImageNet100', 100, None),
    'cifar10': ('CIFAR10BGR', 10, 'cifar10'),
    'cifar100': ('CIFAR100BGR', 100, 'cifar100'),
    'stl10': ('STL10', 10, 'stl10'),
    'tinyimagenet': ('CustomDataset', 200, 'tiny_imagenet'),
}
COUNT = itertools.count()
# One of each protocol, and of each way to load images.
RUN = (
    'resnet18_sce-pre_1xb256-linear-steplr-100e_cifar10',
    'resnet50_sce-pre_4xb64-steplr-20e_in1k-1pct',
    'resnet50_sce-pre_8xb128-linear-coslr-90e_in1k',
)


@cache
def load(path: Path) -> Config:
    """A config that nobody writes to."""
    return Config.fromfile(path)


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.stem)
def test_name_is_a_contract(path: Path):
    cfg = load(path)
    numbers = re.search(r'_(\d+)xb(\d+)-.*-(\d+)e_', path.stem)
    assert numbers is not None
    processes, size, epochs = map(int, numbers.groups())
    assert cfg.train_dataloader.batch_size == size
    assert cfg.auto_scale_lr.base_batch_size == processes * size
    assert cfg.train_cfg.max_epochs == epochs
    scheduler = cfg.param_scheduler.type
    assert (scheduler == 'WarmupCosineLR') == ('-coslr-' in path.stem)
    assert (scheduler == 'MultiStepLR') == ('-steplr-' in path.stem)
    assert f'resnet{cfg.model.backbone.depth}_' in path.stem
    dataset, classes, data = DATA[path.stem.rsplit('_', 1)[1]]
    assert cfg.train_dataloader.dataset.type == dataset
    assert cfg.val_dataloader.dataset.type == dataset
    assert cfg.test_dataloader.dataset == cfg.val_dataloader.dataset
    assert cfg.model.head.num_classes == classes
    assert not cfg.val_dataloader.sampler.shuffle
    # Half precision is not part of any of these protocols.
    assert cfg.optim_wrapper.get('type', 'OptimWrapper') == 'OptimWrapper'
    # Pixels are those of the pretraining.
    base = load(CONFIGS / '_base_' / 'models' / 'sce_resnet50.py')
    pixels = dict(base.model.data_preprocessor)
    if data is not None:
        base = load(CONFIGS / '_base_' / 'datasets' / f'{data}_sce.py')
        pixels.update(base.get('pixel_statistics', {}))
    for name in ('mean', 'std', 'to_rgb'):
        assert cfg.model.data_preprocessor[name] == pixels[name]


@pytest.mark.parametrize('path', LINEAR, ids=lambda path: path.stem)
def test_linear_evaluation_freezes_the_backbone_and_only_it(path: Path):
    cfg = Config.fromfile(path)
    assert cfg.default_hooks.pretrained_backbone.frozen
    assert cfg.optim_wrapper.optimizer.weight_decay == 0
    assert cfg.optim_wrapper.optimizer.momentum == 0.9
    head = cfg.model.head.init_cfg
    assert (head.type, head.layer, head.std) == ('Normal', 'Linear', 0.01)
    narrow(cfg)
    model = MODELS.build(cfg.model).train()
    learning = [n for n, p in model.named_parameters() if p.requires_grad]
    assert learning == ['head.fc.weight', 'head.fc.bias']
    norms = [
        module
        for module in model.backbone.modules()
        if isinstance(module, torch.nn.BatchNorm2d)
    ]
    assert norms
    assert not any(module.training for module in norms)


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.stem)
def test_batches_and_images_of_the_protocols(path: Path):
    cfg = load(path)
    # The rest of a batch is no step of a linear evaluation.
    assert cfg.train_dataloader.get('drop_last', False) == (path in LINEAR)
    if 'coslr' in path.stem:
        assert cfg.optim_wrapper.optimizer.lr == 0.4
        assert cfg.param_scheduler.warmup_epochs == 0
    elif path in LINEAR:
        assert cfg.optim_wrapper.optimizer.lr == 30
        assert list(cfg.param_scheduler.milestones) == [60, 80]
        assert cfg.param_scheduler.gamma == 0.1
    train, val = (
        {t.type: t for t in cfg[name].dataset.pipeline}
        for name in ('train_dataloader', 'val_dataloader')
    )
    assert train['RandomFlip'].prob == 0.5
    if 'in1' in path.stem.rsplit('_', 1)[1]:
        assert train['RandomResizedCrop'].scale == 224
        assert train['RandomResizedCrop'].crop_ratio_range == (0.08, 1.0)
        assert (val['ResizeEdge'].scale, val['ResizeEdge'].edge) == (
            256, 'short',
        )  # fmt: skip
        assert val['CenterCrop'].crop_size == 224
    else:
        side = 32 if 'cifar' in path.stem else 64
        assert train['RandomCrop'].crop_size == side
        assert train['RandomCrop'].padding == 4
        assert 'CenterCrop' not in val
    # torchvision does not turn images by their EXIF tags.
    for pipeline in (train, val):
        if 'LoadImage' in pipeline:
            assert pipeline['LoadImage'].apply_orientation is False
    assert crop_pipeline(256, 224)[0]['apply_orientation'] is False


@pytest.mark.parametrize('percent', [1, 10])
def test_semi_supervised_protocol(percent: int):
    stem = f'resnet50_sce-pre_4xb64-steplr-20e_in1k-{percent}pct'
    cfg = load(BY_STEM[stem])
    assert cfg.optim_wrapper.optimizer.weight_decay == 1e-4
    assert list(cfg.param_scheduler.milestones) == [12, 16]
    assert cfg.param_scheduler.gamma == 0.2
    assert cfg.model.backbone.frozen_stages == -1
    assert cfg.model.backbone.norm_cfg.type == 'SyncBN'
    listed = cfg.train_dataloader.dataset.ann_file
    assert listed == f'meta/train_{percent}percent.txt'
    assert 'ann_file' not in cfg.val_dataloader.dataset


def test_semi_supervised_rate_of_the_head_is_a_multiple_of_the_other():
    cfg = Config.fromfile(
        BY_STEM['resnet50_sce-pre_4xb64-steplr-20e_in1k-1pct']
    )
    narrow(cfg)
    cfg.merge_from_dict(
        {
            'optim_wrapper.optimizer.lr': 0.1,
            'optim_wrapper.paramwise_cfg.custom_keys.head.lr_mult': 10,
        }
    )
    model = MODELS.build(cfg.model)
    groups = build_optim_wrapper(model, cfg.optim_wrapper).param_groups
    rates = {
        id(parameter): group['lr']
        for group in groups
        for parameter in group['params']
    }
    for name, parameter in model.named_parameters():
        expected = 1.0 if name.startswith('head.') else 0.1
        assert rates[id(parameter)] == pytest.approx(expected), name


def narrow(cfg: Config) -> None:
    """A sixteenth of the width; the rest as it is."""
    backbone = cfg.model.backbone
    backbone.update(base_channels=4, stem_channels=4)
    cfg.model.head.in_channels = 128 if backbone.depth == 50 else 32


@pytest.mark.integration
@pytest.mark.parametrize('stem', RUN)
def test_two_iterations_and_a_validation(stem: str, tmp_path: Path):
    write_digits(tmp_path, {'images': 4})
    cfg = Config.fromfile(BY_STEM[stem])
    narrow(cfg)
    weights = tmp_path / 'backbone.pth'
    backbone = MODELS.build(cfg.model.backbone)
    torch.save({'state_dict': backbone.state_dict()}, weights)
    cfg.default_hooks.pretrained_backbone.checkpoint = str(weights)
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.update(batch_size=2, num_workers=0, persistent_workers=False)
        # The pipeline is that of the config.
        pipeline = list(loader.dataset.pipeline)
        if pipeline[0].type != 'LoadImage':
            pipeline.insert(0, dict(type='LoadImage'))
            pipeline.insert(1, dict(type='Resize', scale=(32, 32)))
        loader.dataset = dict(
            type='CustomDataset',
            data_root=str(tmp_path / 'images'),
            pipeline=pipeline,
        )
    cfg.train_cfg.max_epochs = 1
    cfg.default_hooks.logger = None
    cfg.work_dir = str(tmp_path)
    cfg.log_level = 'ERROR'
    cfg.experiment_name = f'benchmark-{next(COUNT)}'

    runner = Runner.from_cfg(cfg)
    runner.train()

    assert runner.iter == 2
    summary = json.loads((tmp_path / 'best_and_last.json').read_text())
    assert summary['accuracy/top1']['last_epoch'] == 1
    assert list(tmp_path.glob('best_accuracy_top1_epoch_1.pth'))
    trained = runner.model.backbone.state_dict()
    moved = [
        name
        for name, tensor in backbone.state_dict().items()
        if not trained[name].equal(tensor)
    ]
    assert bool(moved) != ('-linear-' in stem)
