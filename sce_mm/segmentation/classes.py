"""Compare the classes that a segmentor learns with those of its data sets."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS

from ..config.reading import walk
from ..utils.text import listed

HEADS = ('decode_head', 'auxiliary_head')


def class_problems(cfg: Config) -> Iterator[str]:
    """Heads that have not as many classes as the data sets.

    mmseg compares nothing: with fewer the training ends at the first label
    that is too large, on a GPU without a reason, and with more the metric
    leaves pixels out that were given one of the others.
    """
    model = cfg.get('model') or {}
    sizes = {
        f'model.{where}': size
        for where, size in walk({head: model.get(head) for head in HEADS})
        if where.endswith('num_classes') and isinstance(size, int)
    }
    for part in ('train', 'val'):
        loader = cfg.get(f'{part}_dataloader')
        if not cfg.get(f'{part}_cfg') or not loader:
            continue
        for where, node in walk(loader, f'{part}_dataloader'):
            classes = _classes(node)
            for head, size in sizes.items():
                if classes and size != len(classes):
                    yield (
                        f'{head}: {size}, but {where} has {len(classes)} '
                        f'classes ({listed(classes)}): set it to '
                        f'{len(classes)}, or metainfo = dict(classes=(...)) '
                        'in the data sets'
                    )


def _classes(node: Any) -> tuple[str, ...]:
    """Classes of a data set of mmseg; none of anything else."""
    if not isinstance(node, Mapping) or 'type' not in node:
        return ()
    with DefaultScope.overwrite_default_scope('mmseg'):
        cls: Any = DATASETS.get(node['type'])
    given = node.get('metainfo') or {}
    # Wrappers have no classes of their own.
    known = isinstance(cls, type) and issubclass(cls, BaseSegDataset)
    if not known or not isinstance(given, Mapping):
        return ()
    # Names may be in a file.
    found = cls._load_metainfo(copy.deepcopy(dict(given))).get('classes')
    return tuple(found or ())
