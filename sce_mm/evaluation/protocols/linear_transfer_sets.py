"""Table of the eleven data sets of the linear transfer, and their layouts."""

from pathlib import Path
from typing import Any, NamedTuple

TOP1, PER_CLASS, MAP = METRICS = 'top-1', 'mean per class', '11-point mAP'


class TransferSet(NamedTuple):
    """Row of the table: one data set of the protocol.

    Attributes:
        title: Name in tables.
        folder: Path below the root of all data sets.
        classes: How many there are; None where the protocol does not say.
        metric: Metric of the test split, one of ``METRICS``.
        dataset: mmpretrain's class, or None without.
        splits: Its name of each split there is; without ``val`` a fifth of
            the training split is held out.
    """

    title: str
    folder: str
    classes: int | None
    metric: str
    dataset: str | None
    splits: dict[str, str]


_TWO = {'train': 'train', 'test': 'test'}
_THREE = {'train': 'train', 'val': 'val', 'test': 'test'}

TRANSFER_SETS = {
    'food101': TransferSet('Food-101', 'food-101', 101, TOP1, 'Food101', _TWO),
    'cifar10': TransferSet(
        'CIFAR-10', 'cifar10', 10, TOP1, 'CIFAR10BGR', _TWO
    ),
    'cifar100': TransferSet(
        'CIFAR-100', 'cifar100', 100, TOP1, 'CIFAR100BGR', _TWO
    ),
    # Partition 1.
    'sun397': TransferSet('SUN397', 'SUN397', 397, TOP1, 'SUN397', _TWO),
    'cars': TransferSet(
        'Stanford Cars', 'Stanford_Cars', 196, TOP1, 'StanfordCars', _TWO
    ),
    # Classes are the variants.
    'aircraft': TransferSet(
        'FGVC Aircraft',
        'fgvc-aircraft-2013b',
        100,
        PER_CLASS,
        'FGVCAircraft',
        _THREE,
    ),
    'voc2007': TransferSet(
        'VOC 2007', 'VOCdevkit/VOC2007', 20, MAP, 'VOC', _THREE
    ),
    # Split 1.
    'dtd': TransferSet('DTD', 'dtd', 47, TOP1, 'DTD', _THREE),
    'pets': TransferSet(
        'Oxford Pets',
        'Oxford-IIIT_Pets',
        37,
        PER_CLASS,
        'OxfordIIITPet',
        {'train': 'trainval', 'test': 'test'},
    ),
    # With the background class. The fixed lists of the protocol were drawn
    # with replacement: 2416 different images to train on, 17 to 30 per class,
    # and 6728 to test on.
    'caltech101': TransferSet(
        'Caltech-101', 'caltech-101', 102, PER_CLASS, 'Caltech101', _TWO
    ),
    'flowers': TransferSet(
        'Oxford Flowers', 'Flowers102', 102, PER_CLASS, 'Flowers102', _THREE
    ),
}


def split_configs(
    entry: TransferSet, root: Path, pipeline: list[dict]
) -> dict[str, dict[str, Any]]:
    """Configs of the data sets of the splits there are.

    Lists or class folders in the folder of the data set are read if there are
    any, otherwise the layout is that of mmpretrain's class.

    Raises:
        FileNotFoundError: There is nothing that could be read.
    """
    folder = root / entry.folder
    common = {'data_root': str(folder), 'pipeline': pipeline}
    for key, ending in (('ann_file', '.txt'), ('data_prefix', '')):
        names = {split: f'{split}{ending}' for split in _THREE}
        found = [split for split in names if (folder / names[split]).exists()]
        if {'train', 'test'} <= set(found):
            return {
                split: {'type': 'CustomDataset', key: names[split], **common}
                for split in found
            }
    if not entry.dataset or not folder.is_dir():
        own = f', or the layout of {entry.dataset} of mmpretrain'
        raise FileNotFoundError(
            f'no data at {folder}: expected train.txt and test.txt, with '
            'a path and the number of its class per line, or folders train '
            'and test with one folder for each class'
            + (own if entry.dataset else '')
        )
    return {
        split: {'type': entry.dataset, 'split': name, **common}
        for split, name in entry.splits.items()
    }
