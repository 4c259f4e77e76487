"""Samples of an evaluation: one view and one class of each readable image."""

from collections.abc import Mapping, Sequence, Sized
from typing import Any, cast

import torch
from mmengine.dataset import BaseDataset, ConcatDataset
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset

from ..utils.errors import UserError
from ..utils.progress import errors_alone
from ..utils.text import printable

NO_LABEL = -1
# Stands for the label of an image that cannot be read.
UNREADABLE = -2


def num_images(loader: DataLoader) -> int:
    """Size of the data set of a loader."""
    return len(cast(Sized, loader.dataset))


class NoImageError(UserError):
    """A data set is empty, or nothing of it can be read."""


class NoReplacement(Dataset):
    """The images of a data set as they are asked for, None if unreadable.

    Data sets of mmpretrain give another image in place of an unreadable one,
    which no evaluation may count.

    Args:
        dataset: Data set of any kind, perhaps in wrappers.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        """The sample, or None."""
        dataset, index = _unwrapped(self.dataset, index)
        if isinstance(dataset, BaseDataset):
            return dataset.prepare_data(index)
        return dataset[index]

    def first(self, name: str) -> Any:
        """The first image that can be read.

        Raises:
            NoImageError: There is none; the message has ``name``.
        """
        # The message says so, if none can be read.
        with errors_alone():
            for sample in map(self.__getitem__, range(len(self))):
                if sample is not None:
                    return sample
        raise NoImageError(
            f'none of the {len(self)} images of the {name} can be read, for '
            f'example {self.path(0)}'
            if len(self)
            else f'the {name} is empty: check the paths of its data set'
        )

    def path(self, index: int) -> str:
        """Where the image lies, if that is known, else its number."""
        dataset, index = _unwrapped(self.dataset, index)
        path = None
        if isinstance(dataset, BaseDataset):
            path = dataset.get_data_info(index).get('img_path')
        return printable(path or f'image {index}')


def _unwrapped(dataset: Any, index: int) -> tuple[Any, int]:
    """The data set inside all wrappers and the place of an image in it."""
    if isinstance(dataset, ConcatDataset):
        part, index = dataset._get_ori_dataset_idx(index)
        return _unwrapped(dataset.datasets[part], index)
    if hasattr(dataset, '_get_ori_dataset_idx'):
        inner = dataset._get_ori_dataset_idx(index)
        return _unwrapped(dataset.dataset, inner)
    if isinstance(dataset, Subset):
        return _unwrapped(dataset.dataset, dataset.indices[index])
    return dataset, index


def collate(
    samples: Sequence[Any], labelled: bool = True, filler: Any = None
) -> tuple[Tensor, Tensor]:
    """Images ``[N, C, h, w]`` and labels ``[N]`` of packed samples.

    Args:
        samples: One view each, or None for an image that cannot be read.
        labelled: Whether to read labels; without, all are ``NO_LABEL``.
        filler: Stands in for what cannot be read, with ``UNREADABLE`` as its
            label.

    Raises:
        UserError: They are not one view of one size with at most one label.
    """
    images = [_image_of(filler if x is None else x) for x in samples]
    sizes = {tuple(image.shape) for image in images}
    if len(sizes) > 1:
        raise UserError(
            f'the images of a batch differ in size ({sorted(sizes)[:3]}): '
            'end the pipeline with a resize and a centre crop to one size'
        )
    labels = [
        UNREADABLE if x is None else _label_of(x) if labelled else NO_LABEL
        for x in samples
    ]
    return torch.stack(images), torch.tensor(labels)


def _image_of(sample: Any) -> Tensor:
    image = sample.get('inputs') if isinstance(sample, Mapping) else None
    if isinstance(image, list) and len(image) == 1:
        (image,) = image
    if not isinstance(image, Tensor) or image.ndim != 3:
        got = (
            f'{len(image)} views'
            if isinstance(image, list)
            else type(sample if image is None else image).__name__
        )
        raise UserError(
            "evaluation takes one view [C, h, w] of each image as 'inputs', "
            f'got {got}: use a pipeline without augmentation that ends with '
            "dict(type='PackInputs')"
        )
    return image


def _label_of(sample: Mapping[str, Any]) -> int:
    label = getattr(sample.get('data_samples'), 'gt_label', None)
    if label is None:
        return NO_LABEL
    if label.numel() != 1:
        raise UserError(
            f'an image has the labels {label.tolist()}: evaluation takes '
            'one class per image'
        )
    return int(label)
