"""A labelled toy data set and a tiny SCE model for the evaluation tests."""

import runpy
import sys
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch
from mmengine.config import Config
from mmpretrain.registry import DATASETS, MODELS
from mmpretrain.structures import DataSample
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import Dataset

import sce_mm  # noqa: F401  registers SCE


@DATASETS.register_module()
class ToyImages(Dataset):
    """Noise around one pattern per class, the same for the same index.

    Args:
        size: Number of images.
        offset: Added to the seeds, for other images of the same classes.
        labelled: Whether the samples have labels.
        views: 1 for a single view, more for a list of views.
        side: Height and width of the image.
    """

    NUM_CLASSES = 3

    def __init__(
        self,
        size: int,
        offset: int = 0,
        labelled: bool = True,
        views: int = 1,
        side: int = 16,
    ) -> None:
        self.size = size
        self.offset = offset
        self.labelled = labelled
        self.views = views
        self.side = side

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> dict:
        label = index % self.NUM_CLASSES
        views = [self._draw(label, index, v) for v in range(self.views)]
        sample = DataSample()
        if self.labelled:
            sample.set_gt_label(label)
        return {
            'inputs': views if self.views > 1 else views[0],
            'data_samples': sample,
        }

    def _draw(self, label: int, index: int, view: int) -> Tensor:
        pattern = torch.Generator().manual_seed(label)
        noise = torch.Generator().manual_seed(
            1000 * view + 100 + self.offset + index
        )
        shape = (3, self.side, self.side)
        image = torch.randint(0, 256, shape, generator=pattern).float()
        image += 60 * torch.randn(shape, generator=noise)
        return image.clamp(0, 255).to(torch.uint8)


def model_config() -> dict:
    """SCE with a ResNet-18 of 8 channels and a queue of 16 keys."""
    return dict(
        type='SCE',
        backbone=dict(
            type='ResNet',
            depth=18,
            stem_channels=8,
            base_channels=8,
            norm_cfg=dict(type='BN'),
        ),
        neck=dict(
            type='NonLinearNeck',
            in_channels=64,
            hid_channels=16,
            out_channels=8,
            norm_cfg=dict(type='BN1d'),
        ),
        head=dict(type='SCEHead', loss=dict(type='SCELoss')),
        queue=dict(length=16),
        data_preprocessor=dict(
            type='SelfSupDataPreprocessor',
            mean=[123.675, 116.28, 103.53],
            std=[58.395, 57.12, 57.375],
            to_rgb=True,
        ),
    )


def build_model(seed: int = 0) -> nn.Module:
    """The model of the config with reproducible weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = MODELS.build(model_config())
        model.init_weights()
    return model


def toy_config(**rest: Any) -> Config:
    """A config of that model for a command line, and what else it holds."""
    imports = {'imports': ['evaluation_toys'], 'allow_failed_imports': False}
    return Config(
        {
            'default_scope': 'mmpretrain',
            'custom_imports': imports,
            'model': model_config(),
            **rest,
        }
    )


def run_tool(tool: str, *words: object) -> None:
    """Call the main of a script of ``tools`` in this process.

    Args:
        tool: Its path below ``tools``, without ``.py``.
        *words: Its arguments.
    """
    path = Path(__file__).parents[2] / 'tools' / f'{tool}.py'
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, 'argv', [tool, *map(str, words)])
        runpy.run_path(str(path))['main']()


def save_checkpoint(path: Path, **metadata: Any) -> Path:
    """A checkpoint of other weights than those of the seed 0."""
    state = build_model(8).state_dict()
    torch.save({'meta': {'sce_mm': metadata}, 'state_dict': state}, path)
    return path


def write_digits(root: Path, splits: dict[str, int]) -> None:
    """Digits 0 to 2 as images in ``root``/split/class.

    Args:
        root: Folder.
        splits: Number of images of each split, no image in two of them.
    """
    data = load_digits(n_class=3)
    images = iter(zip(data.images, data.target, strict=True))
    for split, count in splits.items():
        for index in range(count):
            image, label = next(images)
            path = root / split / str(label) / f'{index:02d}.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), image * 15)
