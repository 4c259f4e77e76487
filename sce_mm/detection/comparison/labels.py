"""The user's labels, the detector's config on them, and the unlabelled set."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...datasets.coco_labels import is_mask
from ...datasets.images.file_lists import find_images, write_image_list
from ...datasets.images.near_duplicates import Copy, find_copies
from ..adapt.plan import ABSENT, AdaptError, Plan, kind


def different_categories(
    args: Any, train: dict[str, Any], val: dict[str, Any]
) -> Iterator[str]:
    """Say that the categories of two files differ."""
    names = [[c['name'] for c in part['categories']] for part in (train, val)]
    if names[0] == names[1]:
        return
    only = [
        f'only {path.name} has {sorted(set(own) - set(other))}'
        for path, own, other in (
            (args.train, names[0], names[1]),
            (args.val, names[1], names[0]),
        )
        if set(own) - set(other)
    ]
    yield (
        f'{args.train} and {args.val} name different categories, or in '
        f'another order: {"; ".join(only) or names}'
    )


def unlabelled_without_copies(
    folders: list[Path], val: dict[str, Any], val_images: Path, out: Path
) -> list[Copy]:
    """Write the list of images to pretrain on; validation images left out.

    Args:
        folders: Of unlabelled images.
        val: Validation annotations.
        val_images: Their folder.
        out: List file to write, of absolute paths.

    Returns:
        What was left out.

    Raises:
        ValueError: Nothing is left.
    """
    images = find_images([str(folder) for folder in folders])
    names = [str(val_images / image['file_name']) for image in val['images']]
    copies = find_copies(names, images)
    leaked = {copy.second for copy in copies}
    kept = [path for path in images if path not in leaked]
    if not kept:
        raise ValueError(
            f'all {len(images)} unlabelled images are validation images: '
            'nothing is left to pretrain on'
        )
    write_image_list(out, kept)
    return copies


def plan_data(
    plan: Plan, args: Any, classes: list[str], train: dict, val: dict
) -> None:
    """Point a detector's config at the user's labels.

    Raises:
        AdaptError: Its data set is no plain COCO data set, or its classes
            are counted in a way that cannot be changed here.
    """
    flat = without_mask(train, val)
    if flat and plan.get('model.roi_head.mask_head') is not ABSENT:
        raise AdaptError(
            f'the detector predicts masks, but {len(flat)} objects of the '
            f'labels have no valid segmentation, annotation {flat[0]} for '
            'one: take a detector of boxes'
        )
    parts = [('train_dataloader', args.train, args.train_images)]
    parts += [
        (name, args.val, args.val_images)
        for name in ('val_dataloader', 'test_dataloader')
    ]
    for loader, file, images in parts:
        where = _innermost(plan, f'{loader}.dataset')
        for key, value in {
            'data_root': '',
            'ann_file': str(file),
            'data_prefix': {'img': f'{images}/'},
            'metainfo': {'classes': tuple(classes)},
        }.items():
            plan.set(f'{where}.{key}', value, 'the labels of this comparison')
    for evaluator in ('val_evaluator', 'test_evaluator'):
        if kind(plan.get(evaluator)) not in ('CocoMetric', 'FastCocoMetric'):
            raise AdaptError(
                f'{evaluator} must be one CocoMetric, as its AP is compared'
            )
        masks = 'segm' in str(plan.get(f'{evaluator}.metric')) and not flat
        for key, setting in {
            'ann_file': str(args.val),
            'metric': ['bbox', 'segm'] if masks else 'bbox',
            'metric_items': None,
            'classwise': True,
        }.items():
            plan.set(f'{evaluator}.{key}', setting, 'what is compared')
    _count_classes(plan, 'model', len(classes))


def without_mask(*contents: dict) -> list[int]:
    """Ids of the objects without a segmentation that can be drawn."""
    return [
        a['id']
        for content in contents
        for a in content['annotations']
        if not is_mask(a.get('segmentation'))
    ]


def _innermost(plan: Plan, where: str) -> str:
    while isinstance(plan.get(f'{where}.dataset'), dict):
        where += '.dataset'
    if kind(plan.get(where)) != 'CocoDataset':
        raise AdaptError(
            f'{where} must be a CocoDataset (or wrap one), got '
            f'{kind(plan.get(where))}: take a config of the detector on COCO'
        )
    return where


def _count_classes(plan: Plan, where: str, count: int) -> None:
    """Set every ``num_classes`` below a part of the config."""
    node = plan.get(where)
    if isinstance(node, list | tuple):
        for index in range(len(node)):
            _count_classes(plan, f'{where}[{index}]', count)
    if not isinstance(node, dict):
        return
    if 'num_things_classes' in node or 'num_stuff_classes' in node:
        raise AdaptError(
            f'{where} counts things and stuff apart: panoptic models are not '
            'compared here'
        )
    if plan.get(f'{where}.num_classes') is not ABSENT:
        plan.set(f'{where}.num_classes', count, 'the classes of the labels')
    for key in node:
        _count_classes(plan, f'{where}.{key}', count)
