"""Images and classes of the data sets of the linear transfer.

Each data set has a folder under one root. Lists or class folders in it are
read if there are any (:func:`has_own_layout`), otherwise the layout is that
of mmpretrain's class for the data set.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mmpretrain.registry import DATASETS
from numpy.typing import NDArray

from ...datasets.labelled_images import share_labels
from .linear_transfer_sets import MAP, TransferSet

PARTS = ('train', 'val', 'test')


def build_parts(
    entry: TransferSet, root: Path, pipeline: list[dict]
) -> dict[str, Any]:
    """The data sets of the parts there are.

    Class folders of the same name have the same label in all of them.

    Args:
        entry: What the protocol says of it.
        root: Folder of all data sets.
        pipeline: Of each image.

    Raises:
        FileNotFoundError: There is nothing that could be read.
        ValueError: A part has classes that the training part lacks.
    """
    found = {part: part_config(entry, root, part, pipeline) for part in PARTS}
    configs = {part: config for part, config in found.items() if config}
    share_labels(*configs.values())
    return {part: DATASETS.build(x) for part, x in configs.items()}


def part_config(
    entry: TransferSet, root: Path, part: str, pipeline: list[dict]
) -> dict[str, Any] | None:
    """Config of the data set of one part, None if it has no such part.

    Raises:
        FileNotFoundError: There is nothing that could be read.
    """
    folder = root / entry.folder
    if has_own_layout(folder):
        return _own_layout(folder, part, pipeline)
    if not entry.dataset or not folder.is_dir():
        raise FileNotFoundError(
            f'no data at {folder}: expected train.txt and test.txt, with '
            'a path and the number of its class a line, or folders train '
            'and test with one folder for each class'
            + (
                f', or the layout of {entry.dataset["type"]} of mmpretrain'
                if entry.dataset
                else ''
            )
        )
    if part not in entry.splits:
        return None
    return {
        **entry.dataset,
        'data_root': str(folder),
        'split': entry.splits[part],
        'pipeline': pipeline,
    }


def has_own_layout(folder: Path) -> bool:
    """Whether there are lists, or folders, for training and test."""
    return all(
        (folder / f'{part}.txt').is_file() for part in ('train', 'test')
    ) or all((folder / part).is_dir() for part in ('train', 'test'))


def _own_layout(
    folder: Path, part: str, pipeline: list[dict]
) -> dict[str, Any] | None:
    dataset = {
        'type': 'CustomDataset',
        'data_root': str(folder),
        'pipeline': pipeline,
    }
    if (folder / 'train.txt').is_file():
        named = {'ann_file': f'{part}.txt'}
    else:
        named = {'data_prefix': part}
    if not (folder / next(iter(named.values()))).exists():
        return None
    return dataset | named


def targets_of(dataset: Any, metric: str) -> NDArray[np.int64]:
    """Classes ``[N]`` of a data set, or for the mAP ``[N, C]`` of 0 and 1."""
    if metric != MAP:
        return np.asarray(dataset.get_gt_labels(), dtype=np.int64)
    return multi_hot(dataset).astype(np.int64)


def multi_hot(dataset: Any) -> NDArray[np.bool_]:
    """Which classes each image of a multi-label data set shows ``[N, C]``.

    Objects that are marked as difficult do not count.
    """
    targets = np.zeros((len(dataset), len(dataset.CLASSES)), bool)
    for index in range(len(dataset)):
        targets[index, dataset.get_cat_ids(index)] = True
    return targets


def check_classes(
    name: str,
    entry: TransferSet,
    parts: Mapping[str, NDArray[np.int64]],
) -> None:
    """See that the labels are those of the data set.

    Args:
        name: For the message.
        entry: What the protocol says of it.
        parts: Labels of each part there is.

    Raises:
        ValueError: Another number of classes than in the table, or a part
            has classes that the training part lacks.
    """
    if entry.metric == MAP:
        return
    known = set(parts['train'].tolist())
    if entry.classes not in (None, len(known)):
        raise ValueError(
            f'{name} has {len(known)} classes in its training part, but '
            f'{entry.title} has {entry.classes}: check the files'
        )
    for part, labels in parts.items():
        unknown = sorted(set(labels.tolist()) - known)
        if unknown:
            raise ValueError(
                f'the {part} part of {name} has classes that its training '
                f'part lacks: {unknown[:5]}'
            )
