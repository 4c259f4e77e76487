"""What a config says of the images that it trains on."""

from collections.abc import Iterator
from typing import Any

from mmengine.config import Config

from .datasets.augmentations import Augmentation
from .datasets.decoding import as_stretch


def innermost_dataset(cfg: Config) -> tuple[str, Any]:
    """Key and config of the training data set inside all wrappers."""
    key, dataset = 'train_dataloader.dataset', cfg.train_dataloader.dataset
    while 'dataset' in dataset:
        key, dataset = f'{key}.dataset', dataset['dataset']
    return key, dataset


def view_transforms(cfg: Config) -> Iterator[tuple[str, Any]]:
    """Each ``SCEViews`` of the training data and the key where it stands."""
    key, dataset = innermost_dataset(cfg)
    for index, transform in enumerate(dataset.get('pipeline') or []):
        if transform.get('type') == 'SCEViews':
            yield f'{key}.pipeline[{index}]', transform


def view_sizes(transform: Any) -> list[int]:
    """Pixels along a side of each view that a ``SCEViews`` makes."""
    return [v.get('size', Augmentation.size) for v in transform['views']]


def image_side(cfg: Config) -> int:
    """Pixels along a side of the largest images that a config trains on."""
    if not cfg.get('train_dataloader'):
        return Augmentation.size
    for _, transform in view_transforms(cfg):
        return max(view_sizes(transform))
    # Of a classifier.
    _, dataset = innermost_dataset(cfg)
    for transform in dataset.get('pipeline') or []:
        key = {'RandomResizedCrop': 'scale', 'RandomCrop': 'crop_size'}.get(
            transform['type']
        )
        if key:
            size = transform[key]
            return size if isinstance(size, int) else max(size)
    return Augmentation.size


def image_stretch(cfg: Config) -> tuple[float, float] | None:
    """The ``stretch`` with which a config loads its training images."""
    if not cfg.get('train_dataloader'):
        return None
    _, dataset = innermost_dataset(cfg)
    for transform in dataset.get('pipeline') or []:
        if transform.get('stretch') is not None:
            return as_stretch(transform['stretch'])
    return None
