"""Point a detector at the user's labels."""

from typing import Any

from ...comparison import Settings
from ...config.parts import type_name
from ...config.reading import walk
from ...datasets.labels.coco_labels import is_mask
from ...downstream import AdaptError, ConfigEdits
from ..adapt.classes import COCO_METRICS


def use_labels(
    edits: ConfigEdits,
    settings: Settings,
    classes: list[str],
    train: dict[str, Any],
    val: dict[str, Any],
) -> None:
    """Point a detector's config at the user's labels.

    Raises:
        AdaptError: Its data set is no plain COCO data set, or its classes
            are counted in a way that cannot be changed here.
    """
    objects = train['annotations'] + val['annotations']
    flat = [o['id'] for o in objects if not is_mask(o.get('segmentation'))]
    if flat and edits.get('model.roi_head.mask_head'):
        raise AdaptError(
            f'the detector predicts masks, but {len(flat)} objects of the '
            f'labels have no valid segmentation, annotation {flat[0]} for '
            'one: take a detector of boxes'
        )
    parts = [
        ('train_dataloader', settings.train, settings.train_images),
        ('val_dataloader', settings.val, settings.val_images),
        ('test_dataloader', settings.val, settings.val_images),
    ]
    for loader, file, images in parts:
        where = _innermost(edits, f'{loader}.dataset')
        for key, value in {
            'data_root': '',
            'ann_file': str(file),
            'data_prefix': {'img': f'{images}/'},
            'metainfo': {'classes': tuple(classes)},
        }.items():
            edits.set(f'{where}.{key}', value, 'the labels of this comparison')
    for evaluator in ('val_evaluator', 'test_evaluator'):
        if type_name(edits.get(evaluator)) not in COCO_METRICS:
            raise AdaptError(
                f'{evaluator} must be one CocoMetric, as its AP is compared'
            )
        masks = 'segm' in str(edits.get(f'{evaluator}.metric')) and not flat
        for key, setting in {
            'ann_file': str(settings.val),
            'metric': ['bbox', 'segm'] if masks else 'bbox',
            'metric_items': None,
            'classwise': True,
        }.items():
            edits.set(f'{evaluator}.{key}', setting, 'what is compared')
    _set_classes(edits, len(classes))


def _innermost(edits: ConfigEdits, where: str) -> str:
    while isinstance(edits.get(f'{where}.dataset'), dict):
        where += '.dataset'
    name = type_name(edits.get(where))
    if name != 'CocoDataset':
        raise AdaptError(
            f'{where} must be a CocoDataset (or wrap one), got {name}: take '
            'a config of the detector on COCO'
        )
    return where


def _set_classes(edits: ConfigEdits, count: int) -> None:
    """Set every ``num_classes`` of the model."""
    for path, _ in list(walk(edits.get('model'), 'model')):
        if path.endswith(('.num_things_classes', '.num_stuff_classes')):
            raise AdaptError(
                f'{path} counts things and stuff apart: panoptic models are '
                'not compared here'
            )
        if path.endswith('.num_classes') and edits.get(path) is not None:
            edits.set(path, count, 'the classes of the labels')
