"""Deferred views through transform, loader, preprocessor and Runner."""

from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from deferred_views import STATISTICS, deferred_batch
from device_laws import nothing_waits
from image_files import encode, photographs
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmpretrain.registry import MODELS
from PIL import Image
from tiny_runner import Record

import sce_mm
from sce_mm.cli.config_edits import set_device_views
from sce_mm.cli.runner import build_runner
from sce_mm.config.check import check_config
from sce_mm.config.errors import ConfigError
from sce_mm.transfer import read_checkpoint

CONFIGS = Path(sce_mm.__file__).parents[1] / 'configs' / 'sce'


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    """Twelve photographs of several sizes."""
    path = tmp_path_factory.mktemp('photographs')
    for number in range(2):
        for name, photo in photographs().items():
            side = 90 - 8 * len(name)
            image = Image.fromarray(photo).resize((side + 20, side))
            image = image.rotate(180 * number)
            (path / f'{name}{number}.jpg').write_bytes(encode(image, 'JPEG'))
    return path


def batches(folder: Path, workers: int, deferred: bool) -> list[dict]:
    """The normalised batches of epoch 3."""
    init_default_scope('mmpretrain')
    views = [
        dict(augmentation='weak', size=40),
        dict(augmentation='strong_beta', size=32, jitter_prob=0.0),
        dict(augmentation='strong_gamma', size=16, jitter_prob=0.0),
    ]
    collate = 'pseudo_collate' if deferred else 'default_collate'
    loader = Runner.build_dataloader(
        dict(
            batch_size=4,
            num_workers=workers,
            sampler=dict(type='SeededSampler', shuffle=True),
            collate_fn=dict(type=collate),
            dataset=dict(
                type='UnlabelledImages',
                data_root=str(folder),
                pipeline=[
                    dict(type='LoadImage'),
                    dict(type='SCEViews', views=views, deferred=deferred),
                    dict(type='PackInputs'),
                ],
            ),
        ),
        seed=5,
    )
    name = 'ViewPreprocessor' if deferred else 'SelfSupDataPreprocessor'
    preprocessor = MODELS.build(dict(type=name, **STATISTICS))
    loader.sampler.set_epoch(3)
    return [preprocessor(batch, True) for batch in loader]


@pytest.mark.parametrize('to_rgb', [True, False])
@pytest.mark.parametrize('statistics', [STATISTICS, {}])
def test_views_of_workers_are_those_of_the_base_class(statistics, to_rgb):
    options = dict(statistics, to_rgb=to_rgb)
    ours, theirs = (
        MODELS.build(dict(type=name, **options))
        for name in ('ViewPreprocessor', 'SelfSupDataPreprocessor')
    )
    views = [
        torch.randint(256, (2, 3, size, size), dtype=torch.uint8)
        for size in (6, 6, 4)
    ]
    # Evaluations have one image of each, and no list.
    for inputs in (views, views[:2], views[0]):
        batch = {'inputs': inputs, 'data_samples': ['a', 'b']}
        made, expected = ours(batch, True), theirs(batch, True)
        assert made['data_samples'] == expected['data_samples']
        for view, other in zip(
            made['inputs'], expected['inputs'], strict=True
        ):
            assert view.dtype == torch.float32
            assert torch.equal(view, other)


@pytest.mark.integration
def test_the_loader_gives_the_views_that_workers_would_have_made(folder):
    expected = batches(folder, 0, deferred=False)
    alone, workers = (batches(folder, n, deferred=True) for n in (0, 2))
    for plain, one, two in zip(expected, alone, workers, strict=True):
        for ours, again, theirs in zip(
            one['inputs'], two['inputs'], plain['inputs'], strict=True
        ):
            assert torch.equal(ours, again)
            # Two levels, divided by the smallest standard deviation.
            assert (ours - theirs).abs().max() < 2.1 / 57.12
        for other, same in zip(
            one['data_samples'], plain['data_samples'], strict=True
        ):
            assert other.img_path == same.img_path


def test_nothing_of_the_device_is_read(monkeypatch):
    """Tensors of the meta device have no values that could be read."""
    preprocessor = MODELS.build(dict(type='ViewPreprocessor', **STATISTICS))
    batch = deferred_batch()
    with nothing_waits():
        preprocessor(batch, True)
    # There is no autocast for it.
    monkeypatch.setattr(torch, 'autocast', lambda *_, **__: nullcontext())
    views = preprocessor.to('meta')(deferred_batch(), True)['inputs']
    assert [tuple(v.shape) for v in views] == [(2, 3, 24, 24), (2, 3, 12, 12)]
    assert all(v.device.type == 'meta' for v in views)


# Said by torch 2.1 if anything was compiled before.
@pytest.mark.filterwarnings('ignore:changing options to `torch.compile')
def test_autocast_and_the_compiler_change_no_view():
    preprocessor = MODELS.build(dict(type='ViewPreprocessor', **STATISTICS))
    plain = preprocessor(deferred_batch(), True)['inputs']
    with torch.autocast('cpu', torch.bfloat16):
        cast = preprocessor(deferred_batch(), True)['inputs']
    compiled = torch.compile(preprocessor, backend='eager')
    for others in (cast, compiled(deferred_batch(), True)['inputs']):
        for view, other in zip(plain, others, strict=True):
            assert other.dtype == torch.float32
            assert torch.equal(view, other)


def config(folder: Path, work_dir: Path, **overrides) -> Config:
    """The laptop recipe, narrow, 12 images a epoch in batches of 4."""
    cfg = Config.fromfile(CONFIGS / 'sce_resnet18_1xb64-coslr-200e_folder.py')
    cfg.merge_from_dict(
        {
            'train_dataloader.batch_size': 4,
            'train_dataloader.num_workers': 0,
            'train_dataloader.persistent_workers': False,
            'train_dataloader.dataset.data_root': str(folder),
            'train_dataloader.dataset.pipeline.1.views.0.size': 32,
            'train_dataloader.dataset.pipeline.1.views.1.size': 32,
            'model.queue.length': 24,
            # Of 4 channels oneDNN crashes at AVX2, see tests/test_config.
            'model.backbone.base_channels': 8,
            'model.backbone.stem_channels': 8,
            'model.neck.in_channels': 64,
            'train_cfg.max_epochs': 2,
            'param_scheduler.warmup_epochs': 1,
            'default_hooks.checkpoint.by_epoch': False,
            'default_hooks.checkpoint.interval': 2,
            'work_dir': str(work_dir),
            'log_level': 'ERROR',
            'launcher': 'none',
            'experiment_name': work_dir.name,
        }
    )
    set_device_views(cfg)
    cfg.merge_from_dict(overrides)
    return cfg


def run(cfg: Config):
    runner = build_runner(cfg)
    record = Record()
    runner.register_hook(record)
    runner.train()
    return runner, torch.stack(record.losses)


@pytest.mark.integration
def test_a_run_trains_on_them_and_resumes_exactly(folder, tmp_path):
    whole, losses = run(config(folder, tmp_path / 'whole'))
    assert len(losses) == 6
    assert torch.isfinite(losses).all()
    middle = tmp_path / 'whole' / 'iter_2.pth'
    assert read_checkpoint(middle)['meta']['sce_mm']['channel_order'] == 'rgb'
    resumed, rest = run(
        config(
            folder, tmp_path / 'resumed', resume=True, load_from=str(middle)
        )
    )
    assert torch.equal(rest, losses[2:])
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name


def test_half_of_it_is_refused(folder, tmp_path):
    check_config(config(folder, tmp_path))
    key = 'train_dataloader.collate_fn.type'
    with pytest.raises(
        ConfigError,
        match=r"deferred: .*collate_fn.type='pseudo_collate', got 'default",
    ):
        check_config(config(folder, tmp_path, **{key: 'default_collate'}))
    cfg = config(folder, tmp_path)
    cfg.model.data_preprocessor.type = 'TwoNormDataPreprocessor'
    with pytest.raises(ValueError, match='has 1 SCEViews and TwoNorm'):
        set_device_views(cfg)
