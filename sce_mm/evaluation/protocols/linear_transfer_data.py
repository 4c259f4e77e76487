"""Images, labels and features of one data set of the linear transfer."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mmpretrain.registry import DATASETS
from numpy.typing import NDArray
from torch import nn

from ...datasets.labelled_images import share_labels
from ...utils.errors import UserError
from ..features import image_features
from ..images import crop_pipeline
from .linear_transfer_sets import (
    MAP,
    TRANSFER_SETS,
    TransferSet,
    split_configs,
)

Floats = NDArray[np.float64]


class Split(NamedTuple):
    """Images of one split of a data set, as a network sees them.

    Attributes:
        features: ``[N, D]``.
        labels: Classes ``[N]``; of images that may show several, whether an
            image shows a class, ``[N, C]``.
    """

    features: Floats
    labels: NDArray[Any]


class TransferData:
    """Images and labels of a data set, split by split.

    Class folders of the same name have the same label in all splits.

    Args:
        name: Key of ``TRANSFER_SETS``, or a folder below the root.
        root: Folder of all data sets.
        metric: Metric of a data set that is not in the table.
        size: Side of the images in pixels; the crop takes the whole shorter
            side.

    Raises:
        FileNotFoundError: There is nothing that could be read.
        UserError: The number of classes is not that of the table, or a split
            has classes that the training split lacks.
    """

    def __init__(
        self, name: str, root: Path, metric: str, size: int = 224
    ) -> None:
        custom = TransferSet(name, name, None, metric, None, {})
        self.entry = TRANSFER_SETS.get(name, custom)
        pipeline = crop_pipeline(size, size, 'bicubic')
        configs = split_configs(self.entry, root, pipeline)
        share_labels(*configs.values())
        self.images = {
            split: DATASETS.build(config) for split, config in configs.items()
        }
        several = self.entry.metric == MAP
        self.labels = {
            split: np.asarray(
                multi_hot(images) if several else images.get_gt_labels(),
                dtype=np.int64,
            )
            for split, images in self.images.items()
        }
        if not several:
            self._check_classes(name)

    def features(
        self, model: nn.Module, batch_size: int = 64, workers: int = 2
    ) -> dict[str, Split]:
        """Every split as a network sees it."""
        return {
            split: Split(
                image_features(model, images, batch_size, workers).numpy(),
                self.labels[split],
            )
            for split, images in self.images.items()
        }

    def _check_classes(self, name: str) -> None:
        known = set(self.labels['train'].tolist())
        if self.entry.classes not in (None, len(known)):
            raise UserError(
                f'{name} has {len(known)} classes in its training split, but '
                f'{self.entry.title} has {self.entry.classes}: check the files'
            )
        for split, labels in self.labels.items():
            unknown = sorted(set(labels.tolist()) - known)
            if unknown:
                raise UserError(
                    f'the {split} split of {name} has classes that its '
                    f'training split lacks: {unknown[:5]}'
                )


def multi_hot(dataset: Any) -> NDArray[np.bool_]:
    """Which classes each image of a multi-label data set shows ``[N, C]``.

    Objects that are marked as difficult do not count.
    """
    targets = np.zeros((len(dataset), len(dataset.CLASSES)), bool)
    for index in range(len(dataset)):
        targets[index, dataset.get_cat_ids(index)] = True
    return targets
