"""Compare the classes that a detector learns with those of its labels."""

import copy
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mmdet.datasets import CocoDataset
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import DefaultScope

from ...config.parts import type_name
from ...config.reading import walk
from ...utils.text import listed

COCO_METRICS = ('CocoMetric', 'FastCocoMetric')
# Where a head, by its path, has the number of its classes.
SIZES = {
    r'\b(bbox|mask|mask_iou)_head(\[\d+\])?$': 'num_classes',
    # Of Mask2Former: those of an instance segmentation are things.
    r'\bpanoptic(_fusion)?_head$': 'num_things_classes',
}


class Labels(NamedTuple):
    """An annotation file and the classes that are read from it.

    Attributes:
        where: Path of the data set, or of the metric, in the config.
        file: Path of the file, which is in COCO format.
        named: Whether the config names classes; else they are those of the
            class of the data set.
        classes: Classes of the data set, in their order.
        categories: Categories of the file, in their order.
    """

    where: str
    file: Path
    named: bool
    classes: tuple[str, ...]
    categories: tuple[str, ...]


def read_labels(cfg: Config) -> Iterator[Labels]:
    """Each COCO file that the training of a config reads, if it is there."""
    for part in ('train', 'val'):
        loader = cfg.get(f'{part}_dataloader')
        if not cfg.get(f'{part}_cfg') or not loader:
            continue
        files = []
        classes: tuple[str, ...] = ()
        named = False
        for where, node in walk(loader, f'{part}_dataloader'):
            dataset = _dataset(node)
            if dataset and _reads_by_name(dataset):
                classes, named = _classes(dataset, node)
                files.append((where, node, classes, named))
        for where, node in walk({'evaluator': cfg.get(f'{part}_evaluator')}):
            if type_name(node) in COCO_METRICS:
                files.append((f'{part}_{where}', node, classes, named))
        for where, node, classes, named in files:
            root, name = (node.get(k) or '' for k in ('data_root', 'ann_file'))
            path = Path(os.path.join(root, name))
            categories = _categories(path)
            if classes and categories:
                yield Labels(where, path, named, classes, categories)


def class_problems(cfg: Config) -> Iterator[str]:
    """Classes that are not those of the labels, with the names of both.

    mmdet takes the categories that have the name of a class, and numbers them
    in the order of the file: one that is missing, or another order, gives the
    other classes the numbers of their neighbours.
    """
    read = set()
    # What is wrong, and the places of which it is said.
    wrong: dict[str, list[tuple[str, str]]] = {}
    for where, file, named, classes, categories in read_labels(cfg):
        read.add(where)
        missing = [name for name in classes if name not in categories]
        found = [name for name in categories if name in classes]
        reason = ''
        if missing:
            reason = f'{quoted(missing)} not in the file'
        elif found != list(classes):
            reason = 'another order, or a name twice'
        if reason:
            origin = '' if named else ', as no metainfo is given'
            shown = categories if len(categories) <= 20 else ('...',)
            literal = ', '.join(repr(name) for name in shown)
            text = (
                f'{len(classes)} classes are expected, {quoted(classes)}'
                f'{origin}, and there are {quoted(categories)} ({reason}). '
                f'Set metainfo = dict(classes=({literal},)) in the data sets '
                f'and num_classes = {len(categories)} in the heads'
            )
            wrong.setdefault(text, []).append((where, str(file)))
    for head, size in _sizes(cfg):
        for where, classes, known in _trained_classes(cfg):
            # By default those of COCO, also of a data set that is elsewhere.
            if size < len(classes) and (known or where in read):
                yield (
                    f'{head}: {size}, but {where} has {len(classes)} classes: '
                    f'{quoted(classes)}'
                )
    for text, places in wrong.items():
        where = ', '.join(place for place, _ in places)
        files = ', '.join(dict.fromkeys(file for _, file in places))
        yield f'{where}: in {files} {text}'


def class_notes(cfg: Config) -> Iterator[str]:
    """Heads with outputs for more classes than the training images have.

    mmdet says nothing, and such a detector trains: the outputs that are left
    learn that there is nothing of theirs.
    """
    known = (classes for _, classes, _ in _trained_classes(cfg))
    classes = max(known, key=len, default=())
    for head, size in _sizes(cfg) if classes else ():
        if size > len(classes):
            yield (
                f'{head}: {size}, but the training images have '
                f'{len(classes)} classes ({quoted(classes)}): the other '
                f'outputs find nothing. Set it to {len(classes)} unless they '
                'are for classes to come'
            )


def _trained_classes(
    cfg: Config,
) -> Iterator[tuple[str, tuple[str, ...], bool]]:
    """Keys of the data sets of the training, and their classes.

    With them whether these are known without its file: the config names them,
    or the data set does not look them up.
    """
    for where, node in walk(cfg.get('train_dataloader'), 'train_dataloader'):
        if dataset := _dataset(node):
            classes, named = _classes(dataset, node)
            yield where, classes, named or not _reads_by_name(dataset)


def _sizes(cfg: Config) -> list[tuple[str, int]]:
    """Keys of the numbers of classes of all heads, and these numbers."""
    return [
        (f'{where}.{key}', head[key])
        for where, head in walk(cfg.get('model') or {}, 'model')
        for pattern, key in SIZES.items()
        if re.search(pattern, where)
        and isinstance(head, Mapping)
        and isinstance(head.get(key), int)
        and not head.get('class_agnostic')
        # Of Grounding DINO: as many as words of a text.
        and 'contrastive_cfg' not in head
    ]


def quoted(names: Iterable[Any]) -> str:
    """The first ten names, as they are written in a config."""
    return listed([repr(name) for name in names])


def _dataset(node: Any) -> type[BaseDataset] | None:
    """Class of a data set that has boxes of classes alone."""
    if not isinstance(node, Mapping) or not {'type', 'ann_file'} <= {*node}:
        return None
    kind = node['type']
    with DefaultScope.overwrite_default_scope('mmdet'):
        found: Any = DATASETS.get(kind) if isinstance(kind, str) else kind
    if not (isinstance(found, type) and issubclass(found, BaseDataset)):
        return None
    cls: type[BaseDataset] = found
    # Panoptic ones have stuff among their classes.
    return None if 'thing_classes' in cls.METAINFO else cls


def _reads_by_name(dataset: type[BaseDataset]) -> bool:
    """Whether it finds the categories of a COCO file by their names.

    Those that read their files in another way, such as LVIS, do not.
    """
    read = getattr(dataset, 'load_data_list', None)
    return read is CocoDataset.load_data_list


def _classes(
    dataset: type[BaseDataset], node: Mapping[str, Any]
) -> tuple[tuple[str, ...], bool]:
    """Names of the classes, and whether the config gives them."""
    given = node.get('metainfo') or {}
    if not isinstance(given, Mapping):
        return (), False
    # Names may stand in a file of their own.
    found = dataset._load_metainfo(copy.deepcopy(given)).get('classes') or ()
    # A text, where a comma is missing, is as many classes as letters to mmdet.
    return tuple(found), 'classes' in given


def _categories(path: Path) -> tuple[str, ...]:
    """Names of an annotation file; none if it is not there or not JSON.

    The rest of it, half a gigabyte in COCO, is not parsed.
    """
    if not path.is_file():
        return ()
    text = path.read_text(encoding='utf-8', errors='replace')
    for match in re.finditer(r'"categories"\s*:\s*(?=\[)', text):
        try:
            found, _ = json.JSONDecoder().raw_decode(text, match.end())
        except ValueError:
            continue
        if all(isinstance(item, dict) and 'name' in item for item in found):
            return tuple(str(item['name']) for item in found)
    return ()
