"""The eleven data sets of the linear transfer, as the protocol has them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from .linear_transfer import METRICS

TOP1, PER_CLASS, MAP = METRICS


class TransferSet(NamedTuple):
    """What the protocol says of a data set.

    Attributes:
        title: For tables.
        folder: Below the root.
        classes: How many there are; None where it does not say.
        metric: Of the test part.
        dataset: mmpretrain's class, and what it needs beside the split.
        splits: Split of each part there; without ``val`` a fifth of the
            training part is held out.
    """

    title: str
    folder: str
    classes: int | None
    metric: str
    dataset: Mapping[str, Any]
    splits: Mapping[str, str]


_TWO = {'train': 'train', 'test': 'test'}
_THREE = {**_TWO, 'val': 'val'}

TRANSFER_SETS = {
    'food101': TransferSet(
        'Food-101', 'food-101', 101, TOP1, {'type': 'Food101'}, _TWO
    ),
    'cifar10': TransferSet(
        'CIFAR-10', 'cifar10', 10, TOP1, {'type': 'CIFAR10BGR'}, _TWO
    ),
    'cifar100': TransferSet(
        'CIFAR-100',
        'cifar100',
        100,
        TOP1,
        {'type': 'CIFAR100BGR'},
        _TWO,
    ),
    # Partition 1.
    'sun397': TransferSet(
        'SUN397', 'SUN397', 397, TOP1, {'type': 'SUN397'}, _TWO
    ),
    'cars': TransferSet(
        'Stanford Cars',
        'Stanford_Cars',
        196,
        TOP1,
        {'type': 'StanfordCars'},
        _TWO,
    ),
    # Classes are the variants.
    'aircraft': TransferSet(
        'FGVC Aircraft',
        'fgvc-aircraft-2013b',
        100,
        PER_CLASS,
        {'type': 'FGVCAircraft'},
        _THREE,
    ),
    'voc2007': TransferSet(
        'VOC 2007', 'VOCdevkit/VOC2007', 20, MAP, {'type': 'VOC'}, _THREE
    ),
    # Split 1.
    'dtd': TransferSet('DTD', 'dtd', 47, TOP1, {'type': 'DTD'}, _THREE),
    'pets': TransferSet(
        'Oxford Pets',
        'Oxford-IIIT_Pets',
        37,
        PER_CLASS,
        {'type': 'OxfordIIITPet'},
        {'train': 'trainval', 'test': 'test'},
    ),
    # With the background class. The fixed lists of the protocol were drawn
    # with replacement: 2416 different images to train on, 17 to 30 a class,
    # and 6728 to test on.
    'caltech101': TransferSet(
        'Caltech-101',
        'caltech-101',
        102,
        PER_CLASS,
        {'type': 'Caltech101'},
        _TWO,
    ),
    'flowers': TransferSet(
        'Oxford Flowers',
        'Flowers102',
        102,
        PER_CLASS,
        {'type': 'Flowers102'},
        _THREE,
    ),
}


def transfer_set(name: str, metric: str = TOP1) -> TransferSet:
    """Entry of the table, or one for a folder of the user's own.

    Args:
        name: Key of ``TRANSFER_SETS``, or a folder below the root.
        metric: Of a data set that is not in the table.
    """
    own = TransferSet(name, name, None, metric, {}, _THREE)
    return TRANSFER_SETS.get(name, own)
