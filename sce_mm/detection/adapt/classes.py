"""Classes that a detector is trained on, and those of its labels, by name."""

import copy
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mmdet.datasets import CocoDataset
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.registry import DefaultScope

from ...config.reading import walk
from .plan import kind


class Labels(NamedTuple):
    """An annotation file and the classes that are read from it.

    Attributes:
        where: Path of the data set, or of the metric, in the config.
        file: In COCO format.
        named: Whether the config names classes; else they are those of the
            class of the data set.
        classes: Wanted, in the order of the labels.
        categories: That the file has, in its order.
    """

    where: str
    file: Path
    named: bool
    classes: tuple[str, ...]
    categories: tuple[str, ...]


def read_labels(cfg: Config) -> Iterator[Labels]:
    """Each COCO file that a training reads, as far as it is there.

    Args:
        cfg: Of a detector.
    """
    for part in ('train', 'val'):
        loader = cfg.get(f'{part}_dataloader')
        if not cfg.get(f'{part}_cfg') or not loader:
            continue
        classes: tuple[str, ...] = ()
        for where, node in walk(loader, f'{part}_dataloader'):
            if not isinstance(node, Mapping) or not _is_coco(node):
                continue
            classes, named = _classes(node)
            file = f'{node.get("ann_file") or ""}'
            file = os.path.join(f'{node.get("data_root") or ""}', file)
            yield from _read(where, file, named, classes)
        evaluator = {'evaluator': cfg.get(f'{part}_evaluator')}
        for where, node in walk(evaluator) if classes else ():
            if kind(node) in ('CocoMetric', 'FastCocoMetric'):
                file = f'{node.get("ann_file") or ""}'
                yield from _read(f'{part}_{where}', file, named, classes)


def class_problems(cfg: Config) -> Iterator[str]:
    """Classes that are not those of the labels, with the names of both.

    mmdet takes the categories that have the name of a class, and numbers them
    in the order of the file: one that is missing, or another order, gives the
    other classes the numbers of their neighbours.

    Args:
        cfg: Of a detector.
    """
    sizes = [
        (where, size)
        for where, size in walk(cfg.get('model') or {}, 'model')
        if re.search(r'\bbbox_head(\[\d+\])?\.num_classes$', where)
    ]
    for labels in read_labels(cfg):
        classes, categories = labels.classes, labels.categories
        missing = [name for name in classes if name not in categories]
        found = [name for name in categories if name in classes]
        if missing == list(classes):
            reason = 'none of them in the file'
        elif missing:
            reason = f'{names(missing)} not in the file'
        elif found != list(classes):
            reason = 'another order, or a name twice'
        else:
            reason = ''
        if reason:
            origin = '' if labels.named else ', as no metainfo is given'
            shown = categories if len(categories) <= 20 else ('...',)
            literal = ', '.join(repr(name) for name in shown)
            yield (
                f'{labels.where}: its {len(classes)} classes are '
                f'{names(classes)}{origin}; those of {labels.file} are '
                f'{names(categories)} ({reason}). Set metainfo = '
                f'dict(classes=({literal},)) in the data sets and num_classes '
                f'= {len(categories)} in the heads'
            )
        if not labels.where.startswith('train_'):
            continue
        for where, size in sizes:
            if isinstance(size, int) and size < len(classes):
                yield (
                    f'{where}: {size}, but {labels.where} has '
                    f'{len(classes)} classes: {names(classes)}'
                )


def names(items: Any) -> str:
    """The first ten names, for a message."""
    more = len(items) - 10
    text = ', '.join(repr(item) for item in items[:10])
    return text + (f' and {more} more' if more > 0 else '')


def _is_coco(node: Mapping[str, Any]) -> bool:
    """Whether the labels of a data set are chosen by the names of classes.

    Those that read their files in another way (LVIS, panoptic) are not.
    """
    if 'ann_file' not in node:
        return False
    with DefaultScope.overwrite_default_scope('mmdet'):
        cls = DATASETS.get(node['type']) if 'type' in node else None
    return getattr(cls, 'load_data_list', 0) is CocoDataset.load_data_list


def _classes(node: Mapping[str, Any]) -> tuple[tuple[str, ...], bool]:
    with DefaultScope.overwrite_default_scope('mmdet'):
        cls = DATASETS.get(node['type'])
    given = node.get('metainfo') or {}
    if not isinstance(given, Mapping):
        return (), False
    # Names may stand in a file of their own.
    classes = cls._load_metainfo(copy.deepcopy(given)).get('classes') or ()
    # A text, where a comma is missing, is as many classes as letters to mmdet.
    return tuple(classes), 'classes' in given


def _read(
    where: str, file: str, named: bool, classes: tuple[str, ...]
) -> Iterator[Labels]:
    categories = _categories(Path(file))
    if classes and categories:
        yield Labels(where, Path(file), named, classes, categories)


def _categories(path: Path) -> tuple[str, ...]:
    """Names of an annotation file; none if it is not there or not JSON.

    The rest of it, half a gigabyte in COCO, is not parsed.
    """
    if not path.is_file():
        return ()
    text = path.read_text(encoding='utf-8', errors='replace')
    decoder = json.JSONDecoder()
    for match in re.finditer(r'"categories"\s*:\s*(?=\[)', text):
        try:
            found, _ = decoder.raw_decode(text, match.end())
        except ValueError:
            continue
        if all(isinstance(item, dict) and 'name' in item for item in found):
            return tuple(str(item['name']) for item in found)
    return ()
