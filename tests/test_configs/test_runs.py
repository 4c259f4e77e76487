"""Every pretraining config runs: two iterations of a narrow copy on the CPU.

Pipeline, model, loss, optimiser wrapper, scheduler and hooks are those of the
config; only the widths, the sizes of views and queue, the batch and the source
of the images are smaller. Recipes whose narrow copies differ in numbers only
run once; tests/test_configs/test_published.py looks at the numbers.
"""

from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.runner import Runner
from mmpretrain.datasets import BaseDataset
from mmpretrain.registry import DATASETS

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
    if backbone.type == 'ConvNeXt':
        backbone.arch = dict(depths=[1] * 4, channels=[8, 16, 32, 64])
        return 64
    # Of 4 channels oneDNN crashes at AVX2, see tests/test_config.
    width = 8
    backbone.update(base_channels=width, stem_channels=width)
    return width * 8 * (4 if backbone.depth >= 50 else 1)


def narrow(name: str) -> Config:
    """A config made small enough for a test, where it is large only."""
    cfg = load(name)
    model = cfg.model
    model.neck.in_channels = narrow_backbone(model.backbone, SIZE)
    model.neck.hid_channels = model.neck.out_channels = WIDTH
    if 'pyramid' in model:
        last = model.neck.in_channels
        model.pyramid.in_channels = [last >> stage for stage in (3, 2, 1, 0)]
        model.pyramid.out_channels = last
    if 'dense_head' in model:
        model.dense_neck.in_channels = model.neck.in_channels
        model.dense_neck.hid_channels = model.dense_neck.out_channels = WIDTH
        model.dense_queue.length = 2 * QUEUE
    for head in (model.head, model.get('dense_head')):
        predictor = head and head.get('predictor')
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
    return cfg


def kind_of(cfg: Config) -> str:
    """What a narrow copy is apart from its numbers."""
    parts = deepcopy(cfg.to_dict())
    parts['model']['data_preprocessor'].pop('mean')
    parts['model']['data_preprocessor'].pop('std')
    parts['model']['head']['loss'] = parts['model']['head']['loss']['type']
    for numbers in ('lr', 'weight_decay'):
        parts['optim_wrapper']['optimizer'].pop(numbers)
    keys = ('model', 'train_dataloader', 'optim_wrapper', 'param_scheduler')
    hooks = [hook['type'] for hook in parts['default_hooks'].values()]
    return repr([parts[key] for key in keys] + [sorted(hooks)])


# The last of each kind.
KINDS = {kind_of(narrow(name)): name for name in PRETRAINING}


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('photographs')
    for number in range(IMAGES):
        image = photo().rotate(20 * number)
        (path / f'{number}.jpg').write_bytes(encode(image, 'JPEG'))
    return path


@pytest.mark.parametrize('name', KINDS.values())
def test_runs_two_iterations(name, folder, tmp_path):
    cfg = narrow(name)
    cfg.work_dir = str(tmp_path)
    cfg.train_dataloader.dataset.folder = str(folder)
    runner = Runner.from_cfg(cfg)
    # NumericalGuardHook stops at a loss that is not finite.
    model = runner.train()

    assert runner.iter == IMAGES // BATCH
    keys = IMAGES * model.num_target_views
    assert int(model.queue.filled) == min(keys, QUEUE)
    if model.dense_queue is not None:
        places = model.dense_head.keys_per_image
        assert int(model.dense_queue.filled) == keys * places
    # DistributedDataParallel stops at a parameter without a gradient.
    stepped = runner.optim_wrapper.optimizer.state
    assert all(p in stepped for p in model.parameters() if p.requires_grad)
    # The backbone leaves the checkpoint whole, with what a user must know.
    # An old torch cannot be told which types to allow.
    checkpoint = read_checkpoint(tmp_path / 'epoch_1.pth', trust=True)
    backbone = extract_backbone(checkpoint)
    weights, meta, _ = backbone
    online = model.backbone.state_dict()
    assert weights.keys() == online.keys()
    assert all(torch.equal(weights[key], online[key]) for key in online)
    # What the file says is enough to build the network that takes it.
    assert backbone.network().state_dict().keys() == online.keys()
    assert meta['num_heads'] == (2 if 'vit' in name else None)
    assert meta['arch'].startswith(cfg.model.backbone.type)
    pixels = cfg.model.data_preprocessor
    assert meta['mean'] == pytest.approx(pixels.mean, abs=1e-3)
    assert meta['std'] == pytest.approx(pixels.std, abs=1e-3)
    assert meta['channel_order'] == 'rgb'
    assert (meta['epochs'], meta['method']) == (1, 'SCE')
