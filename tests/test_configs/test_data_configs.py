"""The images of each data set reach the network as with torchvision.

They go from a file in the published layout, made here of photographs, through
the pipeline and the pixel statistics of the base config.
"""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.runner import Runner
from mmpretrain.registry import MODELS
from PIL import Image
from sklearn.datasets import load_sample_images
from torch import Tensor
from torchvision.transforms import functional

from sce_mm.datasets import CIFAR10BGR, CIFAR100BGR, stl10
from tests.helpers.published import (
    CIFAR10_PIXELS,
    CIFAR100_PIXELS,
    IMAGENET_PIXELS,
    STL_PIXELS,
)
from tests.helpers.recipes import CONFIGS

# Base config: splits to pretrain and to validate on, pixel statistics, the
# edge that validation resizes to and the side that it crops.
TABLE = {
    'folder': ('train', None, IMAGENET_PIXELS, 0, 0),
    'imagenet': ('train', 'val', IMAGENET_PIXELS, 256, 224),
    'cifar10': ('train', 'test', CIFAR10_PIXELS, 32, 32),
    'cifar100': ('train', 'test', CIFAR100_PIXELS, 32, 32),
    'stl10': ('unlabeled', 'test', STL_PIXELS, 64, 64),
    'tiny_imagenet': ('train', 'val', IMAGENET_PIXELS, 64, 64),
}
PHOTOS = [Image.fromarray(photo) for photo in load_sample_images().images]


def save(path: Path, size: tuple[int, int]) -> None:
    """Both photographs as PNG files in a folder, whatever the extension."""
    path.mkdir(parents=True)
    for number, photo in enumerate(PHOTOS):
        photo.resize(size).save(path / f'{number}.JPEG', 'PNG')


def planes(size: int, *axes: int) -> np.ndarray:
    """Both photographs as bytes [2, n], their axes in this order."""
    arrays = [np.asarray(photo.resize((size, size))) for photo in PHOTOS]
    return np.stack([a.transpose(axes).reshape(-1) for a in arrays])


def write(
    name: str, split: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[int, int]:
    """Make one split of the data set; the size of its images."""
    if name.startswith('cifar'):
        cls = CIFAR100BGR if name == 'cifar100' else CIFAR10BGR
        for key in ('train_list', 'test_list'):
            files = [[split, None]] if key == f'{split}_list' else []
            monkeypatch.setattr(cls, key, files)
        batch = {'data': planes(32, 2, 0, 1), 'fine_labels': [0, 1]}
        (folder / cls.base_folder).mkdir()
        path = folder / cls.base_folder / split
        path.write_bytes(pickle.dumps(batch))
        return 32, 32
    if name == 'stl10':
        monkeypatch.setitem(stl10.SPLITS, split, 2)
        binary = folder / 'stl10_binary'
        binary.mkdir()
        planes(96, 2, 1, 0).tofile(binary / f'{split}_X.bin')
        np.array([1, 2], np.uint8).tofile(binary / f'{split}_y.bin')
        return 96, 96
    if name == 'tiny_imagenet':
        save(folder / split / 'images', (64, 64))
        (folder / 'meta').mkdir()
        lines = 'images/0.JPEG 0\nimages/1.JPEG 1\n'
        (folder / 'meta' / f'{split}.txt').write_text(lines)
        return 64, 64
    save(folder / split / 'n01440764', (320, 240))
    return 320, 240


def seen_by_the_network(
    cfg: Config, loader: ConfigDict, data_root: Path, pixels: str
) -> Any:
    """Both images in one batch, as the preprocessor of a model gives them."""
    loader.update(batch_size=2, num_workers=0, persistent_workers=False)
    loader.sampler.shuffle = False
    loader.dataset.data_root = str(data_root)
    if loader.dataset.type == 'ImageNet1k':
        loader.dataset.classes = ['n01440764']
    (batch,) = Runner.build_dataloader(loader, seed=0)
    base = CONFIGS / '_base_' / 'models' / 'sce_resnet50.py'
    preprocessor = Config.fromfile(base).model.data_preprocessor
    preprocessor.update(cfg.get('pixel_statistics', {}), type=pixels)
    if pixels != 'ViewPreprocessor':
        del preprocessor['non_blocking']
    return MODELS.build(preprocessor)(batch, training=True)['inputs']


def normalised(image: Image.Image, pixels: Any) -> Tensor:
    return functional.normalize(functional.to_tensor(image), *pixels)


@pytest.mark.parametrize('name', TABLE)
def test_colours_of_pretraining(name, tmp_path, monkeypatch):
    cfg = Config.fromfile(CONFIGS / '_base_' / 'datasets' / f'{name}_sce.py')
    split, _, pixels, _, _ = TABLE[name]
    size = write(name, split, tmp_path, monkeypatch)
    loader = cfg.train_dataloader
    (transform,) = (t for t in loader.dataset.pipeline if t.type == 'SCEViews')
    # The whole image; then the same without colour, which weighs channels.
    side = transform.views[0]['size']
    whole = dict(augmentation='weak', size=side, scale=(1.0, 1.0))
    whole |= dict(ratio=(size[0] / size[1],) * 2, flip_prob=0.0)
    transform.views = [whole, {**whole, 'grey_prob': 1.0}]
    given = seen_by_the_network(cfg, loader, tmp_path, 'ViewPreprocessor')
    # One level for resizing and one for grey, of 255.
    close = dict(rtol=0, atol=2.1 / 255 / min(pixels[1]))
    for number, photo in enumerate(PHOTOS):
        seen = functional.resize(photo.resize(size), [side, side])
        grey = functional.to_grayscale(seen, 3)
        for view, expected in zip(given, (seen, grey), strict=True):
            torch.testing.assert_close(
                view[number], normalised(expected, pixels), **close
            )
    # The photographs are not grey: another order would be far off.
    assert (given[0].flip(1) - given[0]).abs().mean() > 0.3


@pytest.mark.parametrize('name', [n for n, row in TABLE.items() if row[1]])
def test_evaluation_sees_what_torchvision_would(name, tmp_path, monkeypatch):
    cfg = Config.fromfile(CONFIGS / '_base_' / 'datasets' / f'{name}_eval.py')
    _, split, pixels, edge, crop = TABLE[name]
    size = write(name, split, tmp_path, monkeypatch)
    given = seen_by_the_network(
        cfg, cfg.val_dataloader, tmp_path, 'ClsDataPreprocessor'
    )
    for number, photo in enumerate(PHOTOS):
        seen = functional.resize(photo.resize(size), edge)
        expected = functional.center_crop(seen, [crop, crop])
        torch.testing.assert_close(
            given[number],
            normalised(expected, pixels),
            rtol=0,
            atol=0.1 / 255 / min(pixels[1]),
        )
