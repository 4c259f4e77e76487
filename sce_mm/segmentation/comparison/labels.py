"""Point a segmentor at the user's masks."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...config.parts import type_name
from ...config.reading import walk
from ...datasets.labels.mask_labels import MaskFolders
from ...downstream import AdaptError, ConfigEdits
from ...downstream.verification import add_import
from ...visualization.label_maps import palette
from ..segmentor import IMPORT

_REASON = 'the labels of this comparison'
_METRICS = ('IoUMetric', 'ClassIoUMetric')


def use_labels(
    edits: ConfigEdits,
    folders: Mapping[str, MaskFolders],
    classes: Sequence[str],
) -> None:
    """Point a segmentor's config at the user's masks.

    Args:
        edits: The config.
        folders: Folders of ``train`` and ``val``.
        classes: Names of the classes in the order of their numbers.

    Raises:
        AdaptError: Its data sets, metric or classes cannot be changed here.
    """
    for loader, part in (
        ('train_dataloader', 'train'),
        ('val_dataloader', 'val'),
        ('test_dataloader', 'val'),
    ):
        where, pipeline = _innermost(edits, f'{loader}.dataset')
        given = folders[part]
        dataset = {
            'type': 'BaseSegDataset',
            'data_prefix': {
                'img_path': str(given.images),
                'seg_map_path': str(given.masks),
            },
            'img_suffix': given.img_suffix,
            'seg_map_suffix': given.seg_map_suffix,
            'reduce_zero_label': given.reduce_zero_label,
            'metainfo': {
                'classes': tuple(classes),
                'palette': palette(len(classes)),
            },
            'pipeline': pipeline,
        }
        edits.set(where, dataset, _REASON)
    for evaluator in ('val_evaluator', 'test_evaluator'):
        if type_name(edits.get(evaluator)) not in _METRICS:
            raise AdaptError(
                f'{evaluator} must be one IoUMetric, as its mIoU is compared'
            )
        metric = {'type': 'ClassIoUMetric', 'iou_metrics': ['mIoU']}
        edits.set(evaluator, metric, 'what is compared, and that of classes')
    add_import(edits, IMPORT, 'registers the metric')
    _set_classes(edits, len(classes))


def _innermost(edits: ConfigEdits, where: str) -> tuple[str, list[Any]]:
    """Path of a data set in all wrappers, and how its images are loaded."""
    while isinstance(edits.get(f'{where}.dataset'), dict):
        where += '.dataset'
    joined = edits.get(f'{where}.datasets')
    found = [part.get('pipeline') for part in joined or [edits.get(where)]]
    if not found[0] or any(pipeline != found[0] for pipeline in found):
        raise AdaptError(
            f'{where} must be a data set of masks with a pipeline (or wrap '
            'one, or join some with one pipeline): take a config of the '
            'segmentor on Cityscapes, VOC or ADE20K'
        )
    pipeline = copy.deepcopy(found[0])
    for step in pipeline:
        if type_name(step) == 'LoadAnnotations':
            # It is that of the data set.
            step.pop('reduce_zero_label', None)
    return where, pipeline


def _set_classes(edits: ConfigEdits, count: int) -> None:
    """Set every ``num_classes`` of the model, and weights of equal classes."""
    for path, old in list(walk(edits.get('model'), 'model')):
        if path.endswith('.num_classes') and isinstance(old, int):
            head = path.removesuffix('.num_classes')
            for where, weights in list(_class_weights(edits, head)):
                first, rest = weights[:old], weights[old:]
                if count != old and len(set(first)) > 1:
                    raise AdaptError(
                        f'{where} has a weight for each of {old} classes, but '
                        f'there are {count}: take it out of the config'
                    )
                edits.set(where, first[:1] * count + rest, _REASON)
            edits.set(path, count, 'the classes of the labels')


def _class_weights(
    edits: ConfigEdits, head: str
) -> Iterator[tuple[str, list[float]]]:
    """Lists of weights of the classes in the losses of a head."""
    losses = edits.get(head)
    for name, value in losses.items() if isinstance(losses, dict) else ():
        several = isinstance(value, list | tuple)
        for number, loss in enumerate(value if several else [value]):
            weights = isinstance(loss, dict) and loss.get('class_weight')
            if isinstance(weights, list | tuple):
                place = f'{head}.{name}' + (f'[{number}]' if several else '')
                yield f'{place}.class_weight', list(weights)
