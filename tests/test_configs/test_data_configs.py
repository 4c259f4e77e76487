"""The base config of each data set: its numbers, and its colours.

The colours go from a file in the published layout, made here of photographs,
to what the network gets, and are compared with torchvision's there.
"""

import pickle
from collections.abc import Callable
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
from torchvision.transforms import functional

from sce_mm.config.check import check_config
from sce_mm.datasets import (
    CIFAR10BGR,
    CIFAR100BGR,
    IMAGENET100_IDS,
    SCEViews,
    stl10,
)

STRONG = [('strong_alpha', 224, (0.2, 1.0)), ('strong_beta', 224, (0.2, 1.0))]
LOCAL = [
    ('strong_gamma', 192, (0.172, 0.86)),
    ('strong_gamma', 160, (0.143, 0.715)),
    ('strong_gamma', 128, (0.114, 0.571)),
    ('strong_gamma', 96, (0.086, 0.429)),
]


def weak_strong(size: int) -> list[tuple[str, int, tuple[float, float]]]:
    return [('weak', size, (0.2, 1.0)), ('strong', size, (0.2, 1.0))]


IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
CIFAR10 = ([0.4914, 0.4822, 0.4465], [0.2023, 0.1994, 0.2010])
CIFAR100 = ([0.5071, 0.4865, 0.4409], [0.2009, 0.1984, 0.2023])
STL = ([0.4914, 0.4822, 0.4465], [0.2471, 0.2435, 0.2616])

# name: data set, split, views, mean and std (RGB)
TABLE: dict[str, tuple[str, str | None, list[Any], Any]] = {
    'folder_sce': ('UnlabelledImages', None, STRONG, IMAGENET),
    'coco_sce': ('UnlabelledImages', None, STRONG, IMAGENET),
    'imagenet_sce': ('ImageNet1k', 'train', STRONG, IMAGENET),
    'imagenet_sce_mcrop': ('ImageNet1k', 'train', STRONG + LOCAL, IMAGENET),
    'imagenet_sce_asym': ('ImageNet1k', 'train', weak_strong(224), IMAGENET),
    'imagenet100_sce': ('ImageNet100', 'train', weak_strong(224), IMAGENET),
    'cifar10_sce': ('CIFAR10BGR', 'train', weak_strong(32), CIFAR10),
    'cifar100_sce': ('CIFAR100BGR', 'train', weak_strong(32), CIFAR100),
    'stl10_sce': ('STL10', 'unlabeled', weak_strong(64), STL),
    'tiny_imagenet_sce': (
        'UnlabelledImages',
        None,
        weak_strong(64),
        IMAGENET,
    ),
}
PHOTOS = [Image.fromarray(photo) for photo in load_sample_images().images]


@pytest.fixture
def load(root: Path) -> Callable[[str], Config]:
    """A base config together with that of the model it needs."""

    def make(name: str) -> Config:
        base = root / 'configs' / '_base_'
        cfg = Config.fromfile(base / 'datasets' / f'{name}.py')
        model = Config.fromfile(base / 'models' / 'sce_resnet18.py').model
        model.data_preprocessor.update(cfg.get('pixel_statistics', {}))
        cfg.model = model
        return cfg

    return make


def views_of(cfg: Config) -> Any:
    (transform,) = (
        t
        for t in cfg.train_dataloader.dataset.pipeline
        if t.type == 'SCEViews'
    )
    return transform


def test_the_table_is_complete(root: Path) -> None:
    files = (root / 'configs/_base_/datasets').glob('*_sce*.py')
    assert {file.stem for file in files} == set(TABLE)


@pytest.mark.parametrize('name', TABLE)
def test_the_numbers_are_those_of_the_specification(
    load: Callable[[str], Config], name: str
) -> None:
    cfg = load(name)
    check_config(cfg, training=False)
    kind, split, views, (mean, std) = TABLE[name]
    loader = cfg.train_dataloader
    assert loader.dataset.type == kind
    assert loader.dataset.get('split') == split
    assert loader.drop_last
    assert dict(loader.sampler) == dict(type='SeededSampler', shuffle=True)
    built = SCEViews(views_of(cfg).views).views
    named = views_of(cfg).views
    assert [
        (config['augmentation'], view.size, view.scale)
        for config, view in zip(named, built, strict=True)
    ] == views
    # Nothing is overridden but size and scale, and the saturation of the
    # released pair for ImageNet.
    own = {'augmentation', 'size', 'scale'}
    overridden = {key for config in named for key in config} - own
    released = split == 'train' and views == weak_strong(224)
    assert overridden == ({'saturation'} if released else set())
    assert [v.get('saturation', 0.2) for v in named] == [0.2] * len(named)
    pixels = cfg.model.data_preprocessor
    assert pixels.to_rgb
    assert pixels.mean == pytest.approx([255 * value for value in mean])
    assert pixels.std == pytest.approx([255 * value for value in std])


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
        cls = CIFAR100BGR if name.startswith('cifar100') else CIFAR10BGR
        lists = {'train_list': [], 'test_list': []}
        lists |= {f'{split}_list': [[split, None]]}
        for key, value in lists.items():
            monkeypatch.setattr(cls, key, value)
        batch = {'data': planes(32, 2, 0, 1), 'fine_labels': [0, 1]}
        (folder / cls.base_folder).mkdir()
        path = folder / cls.base_folder / split
        path.write_bytes(pickle.dumps(batch))
        return 32, 32
    if name.startswith('stl10'):
        monkeypatch.setitem(stl10.SPLITS, split, 2)
        binary = folder / 'stl10_binary'
        binary.mkdir()
        planes(96, 2, 1, 0).tofile(binary / f'{split}_X.bin')
        np.array([1, 2], np.uint8).tofile(binary / f'{split}_y.bin')
        return 96, 96
    if name.startswith('tiny'):
        save(folder / split / 'images', (64, 64))
        (folder / 'meta').mkdir()
        lines = 'images/0.JPEG 0\nimages/1.JPEG 1\n'
        (folder / 'meta' / f'{split}.txt').write_text(lines)
        return 64, 64
    size = (320, 240)
    if name.startswith('imagenet100'):
        save(folder / split / IMAGENET100_IDS[0], size)
        # One class does for this purpose.
        monkeypatch.setattr(
            'sce_mm.datasets.imagenet.IMAGENET100_IDS', IMAGENET100_IDS[:1]
        )
    else:
        save(folder / split / 'n01440764', size)
    return size


def two_images(loader: Any, data_root: Path) -> Any:
    """The loader on what was written, both images in one batch."""
    loader.update(batch_size=2, num_workers=0, persistent_workers=False)
    loader.sampler.shuffle = False
    loader.dataset.data_root = str(data_root)
    if loader.dataset.type == 'ImageNet1k':
        loader.dataset.classes = ['n01440764']
    return loader


@pytest.mark.parametrize('name', TABLE)
def test_colours_reach_the_network_in_the_right_order(
    load: Callable[[str], Config],
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cfg = load(name)
    split = TABLE[name][1] or 'train'
    size = write(name, split, tmp_path, monkeypatch)
    loader = two_images(cfg.train_dataloader, tmp_path)
    # The whole image; then the same without colour, which weighs channels.
    side = views_of(cfg).views[0]['size']
    ratio = (size[0] / size[1],) * 2
    whole = dict(augmentation='weak', size=side, scale=(1.0, 1.0))
    whole |= dict(ratio=ratio, flip_prob=0.0)
    views_of(cfg).views = [whole, {**whole, 'grey_prob': 1.0}]
    (batch,) = Runner.build_dataloader(loader, seed=0)
    given = MODELS.build(cfg.model.data_preprocessor)(batch, training=True)
    mean, std = TABLE[name][3]
    for number, photo in enumerate(PHOTOS):
        seen = functional.resize(photo.resize(size), [side, side])
        for view, theirs in enumerate(
            (seen, functional.to_grayscale(seen, 3))
        ):
            expected = functional.normalize(
                functional.to_tensor(theirs), mean, std
            )
            # One level for resizing and one for grey, of 255.
            torch.testing.assert_close(
                given['inputs'][view][number],
                expected,
                rtol=0,
                atol=2.1 / 255 / min(std),
            )
    # The photographs are not grey: another order would be far off.
    swapped = given['inputs'][0].flip(1) - given['inputs'][0]
    assert swapped.abs().mean() > 0.3


EVALUATION = {
    'imagenet_eval': ('val', IMAGENET, 256, 224),
    'imagenet100_eval': ('val', IMAGENET, 256, 224),
    'cifar10_eval': ('test', CIFAR10, 32, 32),
    'cifar100_eval': ('test', CIFAR100, 32, 32),
    'stl10_eval': ('test', STL, 64, 64),
    'tiny_imagenet_eval': ('val', IMAGENET, 64, 64),
}


@pytest.mark.parametrize('name', EVALUATION)
def test_evaluation_sees_what_torchvision_would(
    root: Path,
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    split, (mean, std), edge, crop = EVALUATION[name]
    base = root / 'configs' / '_base_'
    cfg = Config.fromfile(base / 'datasets' / f'{name}.py')
    model = Config.fromfile(base / 'models' / 'linear_resnet50.py').model
    model.data_preprocessor.update(cfg.get('pixel_statistics', {}))
    size = write(name, split, tmp_path, monkeypatch)
    loader = two_images(cfg.val_dataloader, tmp_path)
    (batch,) = Runner.build_dataloader(loader, seed=0)
    pixels = ConfigDict(type='ClsDataPreprocessor') | model.data_preprocessor
    given = MODELS.build(pixels)(batch)['inputs']
    for number, photo in enumerate(PHOTOS):
        seen = functional.resize(photo.resize(size), edge)
        seen = functional.center_crop(seen, [crop, crop])
        expected = functional.normalize(functional.to_tensor(seen), mean, std)
        torch.testing.assert_close(
            given[number], expected, rtol=0, atol=0.1 / 255 / min(std)
        )
