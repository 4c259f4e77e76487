"""Every pretraining config runs: two iterations of a narrow copy on the CPU.

Pipeline, model, loss, optimiser wrapper, scheduler and hooks are those of the
config; only the widths, the sizes of views and queue, the batch and the source
of the images are smaller.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.datasets import BaseDataset
from mmpretrain.registry import DATASETS

from sce_mm.evaluation.features import evaluation_mode, pool
from sce_mm.transfer import extract_backbone, read_checkpoint
from tests.helpers.image_files import encode, photo
from tests.helpers.recipes import PRETRAINING, load, views

pytestmark = pytest.mark.integration

BATCH, IMAGES, SIZE, WIDTH, QUEUE = 4, 8, 32, 8, 64


@DATASETS.register_module(force=True)
class FewPhotographs(BaseDataset):
    """Photographs as files and as pixels: whatever a pipeline begins with."""

    def __init__(self, folder: str, pixels: int, pipeline: list[dict]) -> None:
        self.folder = folder
        self.pixels = pixels
        super().__init__(ann_file='', pipeline=pipeline)

    def load_data_list(self) -> list[dict[str, Any]]:
        small = np.array(photo().resize((self.pixels, self.pixels)))
        return [
            {
                'img_path': str(path),
                'img': np.roll(small, number, axis=0),
                'gt_label': number,
            }
            for number, path in enumerate(sorted(Path(self.folder).iterdir()))
        ]


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('photographs')
    for number in range(IMAGES):
        image = photo().rotate(20 * number)
        (path / f'{number}.jpg').write_bytes(encode(image, 'JPEG'))
    return path


class Record(Hook):
    """Loss, learning rate and momentum of every iteration."""

    # After the momentum update, before the scheduler goes on.
    priority = 'BELOW_NORMAL'

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.rates: list[float] = []
        self.momenta: list[float] = []

    def after_train_iter(self, runner, batch_idx, data_batch, outputs):
        self.losses.append(float(outputs['loss'].detach()))
        self.rates.append(runner.optim_wrapper.param_groups[0]['lr'])
        scalars = runner.message_hub.log_scalars
        self.momenta.append(scalars['train/momentum'].current())


def narrow_backbone(backbone: ConfigDict, size: int) -> int:
    """Make it small, for images of ``size``; returns its output width."""
    if backbone.type == 'MoCoV3ViT':
        backbone.img_size = size
        backbone.arch = dict(
            embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=32
        )
        return 16
    if backbone.type == 'SwinTransformer':
        backbone.update(img_size=size, window_size=1)
        backbone.arch = dict(embed_dims=8, depths=[2] * 4, num_heads=[1] * 4)
        return 64
    backbone.update(base_channels=4, stem_channels=4)
    return 4 * 8 * (4 if backbone.depth >= 50 else 1)


def narrow(cfg: Config, folder: Path, work_dir: Path) -> None:
    """Make a config small enough for a test, where it is large only."""
    model = cfg.model
    model.neck.in_channels = narrow_backbone(model.backbone, SIZE)
    model.neck.hid_channels = model.neck.out_channels = WIDTH
    predictor = model.head.get('predictor')
    if predictor:
        predictor.update(in_channels=WIDTH, hid_channels=16)
        predictor.out_channels = WIDTH
    model.queue.length = QUEUE
    if 'shuffle_bn' in model:
        model.shuffle_bn.simulated_devices = 2
    for view in views(cfg):
        view['size'] = SIZE if view['size'] in (224, 64, 32) else 24
    loader = cfg.train_dataloader
    loader.dataset = ConfigDict(
        type='FewPhotographs',
        folder=str(folder),
        pixels=SIZE,
        pipeline=loader.dataset.pipeline,
    )
    loader.update(batch_size=BATCH, num_workers=0, persistent_workers=False)
    cfg.train_cfg.max_epochs = 1
    cfg.param_scheduler.warmup_epochs = 0
    if cfg.optim_wrapper.get('type') == 'AmpOptimWrapper':
        # mmengine's wrapper refuses a CPU: autocast all the same.
        cfg.optim_wrapper.type = 'BF16OptimWrapper'
        cfg.optim_wrapper.pop('loss_scale')
    cfg.default_hooks.pop('online_knn', None)
    cfg.visualizer.vis_backends = []
    cfg.log_level = 'ERROR'
    cfg.work_dir = str(work_dir)


@pytest.mark.parametrize('name', PRETRAINING)
def test_runs_two_iterations(name, folder, tmp_path):
    cfg = load(name)
    narrow(cfg, folder, tmp_path)
    runner = Runner.from_cfg(cfg)
    record = Record()
    runner.register_hook(record)
    runner.train()

    assert len(record.losses) == IMAGES // BATCH
    assert np.isfinite(record.losses).all()
    model = runner.model
    keys = IMAGES * model.num_target_views
    assert int(model.queue.filled) == min(keys, QUEUE)
    check_schedules(cfg, record)
    # DistributedDataParallel stops at a parameter without a gradient.
    stepped = runner.optim_wrapper.optimizer.state
    unused = [
        key
        for key, p in model.named_parameters()
        if p.requires_grad and p not in stepped
    ]
    assert not unused
    check_branches(model, cfg.model.neck.in_channels)
    check_export(tmp_path / 'epoch_1.pth', cfg, model)


def check_schedules(cfg: Config, record: Record) -> None:
    """Both go by the step: half-way down the cosine at the second of two."""
    rate = cfg.optim_wrapper.optimizer.lr
    assert record.rates == pytest.approx([rate, rate / 2])
    hook = cfg.default_hooks.momentum_update
    momentum = hook.get('momentum', dict(start=0.01, end=0.0))
    if isinstance(momentum, dict):
        expected = [momentum['start'], momentum['end']]
    else:
        expected = [momentum, momentum]
    assert record.momenta == pytest.approx(expected)


def check_branches(model: torch.nn.Module, width: int) -> None:
    """The momentum branch has moved, to weights of its own; both evaluate."""
    online = dict(model.backbone.named_parameters())
    target = model.momentum_encoder.backbone
    assert any(
        not torch.equal(p, online[key]) for key, p in target.named_parameters()
    )
    images = torch.zeros(2, 3, SIZE, SIZE)
    for backbone in (model.backbone, target):
        with evaluation_mode(backbone):
            features = pool(backbone(images))
        assert features.shape == (2, width)


def check_export(path: Path, cfg: Config, model: torch.nn.Module) -> None:
    """The backbone leaves the checkpoint whole, with what a user must know."""
    # Written above; an old torch cannot be told which types to allow.
    backbone, meta = extract_backbone(read_checkpoint(path, trust=True))
    online = model.backbone.state_dict()
    assert backbone.keys() == online.keys()
    assert all(torch.equal(backbone[key], online[key]) for key in online)
    assert meta['arch'].startswith(cfg.model.backbone.type)
    assert meta['channel_order'] == 'rgb'
    pixels = cfg.model.data_preprocessor
    assert meta['mean'] == pytest.approx(pixels.mean, abs=1e-3)
    assert meta['std'] == pytest.approx(pixels.std, abs=1e-3)
    assert (meta['epochs'], meta['method']) == (1, 'SCE')
