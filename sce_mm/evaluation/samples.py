"""What evaluation takes from a data set: one view and one class each."""

from collections.abc import Mapping, Sequence, Sized
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.data import DataLoader

NO_LABEL = -1


def num_images(loader: DataLoader) -> int:
    """Size of the data set of a loader."""
    return len(cast(Sized, loader.dataset))


def collate(
    samples: Sequence[Any], labelled: bool = True
) -> tuple[Tensor, Tensor]:
    """Images ``[N, C, h, w]`` and labels ``[N]`` of packed samples.

    Args:
        samples: One view each.
        labelled: Whether to read labels; without, all are ``NO_LABEL``.

    Raises:
        ValueError: They are not one view of one size with at most one label.
    """
    images = [_image_of(sample) for sample in samples]
    sizes = {tuple(image.shape) for image in images}
    if len(sizes) > 1:
        raise ValueError(
            f'the images of a batch differ in size ({sorted(sizes)[:3]}): '
            'end the pipeline with a resize and a centre crop to one size'
        )
    labels = [label_of(x) if labelled else NO_LABEL for x in samples]
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
        raise ValueError(
            "evaluation takes one view [C, h, w] of each image as 'inputs', "
            f'got {got}: use a pipeline without augmentation that ends with '
            "dict(type='PackInputs')"
        )
    return image


def label_of(sample: Mapping[str, Any]) -> int:
    """Class of a packed sample, ``NO_LABEL`` if it has none.

    Raises:
        ValueError: It has several.
    """
    label = getattr(sample.get('data_samples'), 'gt_label', None)
    if label is None:
        return NO_LABEL
    if label.numel() != 1:
        raise ValueError(
            f'an image has the labels {label.tolist()}: evaluation takes '
            'one class per image'
        )
    return int(label)


def check_labels(labels: Tensor, name: str) -> None:
    """Raise ValueError unless all images of the named set have a class."""
    missing = int((labels < 0).sum())
    if missing:
        raise ValueError(
            f'{missing} of {len(labels)} images of the {name} have no '
            "label: it must be a labelled data set (such as 'CustomDataset' "
            'with one folder per class) whose pipeline ends with '
            "dict(type='PackInputs')"
        )
