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
from image_files import encode, photo
from mmengine.config import Config, ConfigDict
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.datasets import BaseDataset
from mmpretrain.registry import DATASETS
from recipes import PRETRAINING, load, views

from sce_mm.evaluation.features import evaluation_mode, pool

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


class Losses(Hook):
    """The loss of every iteration."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def after_train_iter(self, runner, batch_idx, data_batch, outputs):
        self.values.append(float(outputs['loss'].detach()))


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
    cfg.custom_hooks = [
        hook for hook in cfg.custom_hooks if hook.type != 'OnlineKNNHook'
    ]
    cfg.visualizer.vis_backends = []
    cfg.log_level = 'ERROR'
    cfg.work_dir = str(work_dir)


@pytest.mark.parametrize('name', PRETRAINING)
def test_runs_two_iterations(name, folder, tmp_path):
    cfg = load(name)
    narrow(cfg, folder, tmp_path)
    runner = Runner.from_cfg(cfg)
    losses = Losses()
    runner.register_hook(losses)
    runner.train()

    assert len(losses.values) == IMAGES // BATCH
    assert np.isfinite(losses.values).all()
    model = runner.model
    keys = IMAGES * model.num_target_views
    assert int(model.queue.filled) == min(keys, QUEUE)
    # DistributedDataParallel stops at a parameter without a gradient.
    stepped = runner.optim_wrapper.optimizer.state
    unused = [
        key
        for key, p in model.named_parameters()
        if p.requires_grad and p not in stepped
    ]
    assert not unused
    online = dict(model.backbone.named_parameters())
    target = model.momentum_encoder.backbone
    moved = [
        key
        for key, p in target.named_parameters()
        if not torch.equal(p, online[key])
    ]
    assert moved, 'the momentum branch is a copy still'
    check_checkpoint(tmp_path, cfg)
    images = torch.zeros(2, 3, SIZE, SIZE)
    for backbone in (model.backbone, target):
        with evaluation_mode(backbone):
            features = pool(backbone(images))
        assert features.shape == (2, cfg.model.neck.in_channels)


def check_checkpoint(work_dir: Path, cfg: Config) -> None:
    """What an exporter needs was saved."""
    saved = torch.load(work_dir / 'epoch_1.pth', weights_only=False)
    meta = saved['meta']['sce_mm']
    assert meta['arch'].startswith(cfg.model.backbone.type)
    assert meta['channel_order'] == 'rgb'
    assert len(meta['mean']) == len(meta['std']) == 3
    assert meta['epochs'] == 1
