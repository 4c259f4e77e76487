"""The user's labels, the detector's config on them, and the unlabelled set."""

import json
from pathlib import Path
from typing import Any

from sce_mm.datasets.file_lists import find_images
from sce_mm.datasets.near_duplicates import Copy, find_copies
from sce_mm.detection.adapt.plan import ABSENT, AdaptError, Plan, kind


def read_coco(path: Path, images: Path) -> dict[str, Any]:
    """Content of an annotation file whose images exist.

    Raises:
        FileNotFoundError: The file, or an image, is not there.
        ValueError: It is not in COCO format, or nothing is in it.
    """
    if not path.is_file():
        raise FileNotFoundError(f'no annotation file at {path}')
    content = json.loads(path.read_text())
    if not isinstance(content, dict) or not all(
        content.get(key) for key in ('images', 'annotations', 'categories')
    ):
        raise ValueError(
            f'{path} must be in COCO format, with images, annotations and '
            'categories in it'
        )
    names = [image['file_name'] for image in content['images']]
    missing = [name for name in names if not (images / name).is_file()]
    if missing:
        raise FileNotFoundError(
            f'{len(missing)} of {len(names)} images of {path.name} are not in '
            f'{images}: {", ".join(missing[:3])}'
        )
    return content


def unlabelled_without_copies(
    folders: list[Path], val: dict[str, Any], val_images: Path, out: Path
) -> list[Copy]:
    """Write the list of images to pretrain on; validation images left out.

    Args:
        folders: Of unlabelled images.
        val: Validation annotations.
        val_images: Their folder.
        out: List file to write, one absolute path a line.

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
    out.write_text('\n'.join(kept) + '\n')
    return copies


def plan_data(
    plan: Plan, args: Any, classes: list[str], train: dict, val: dict
) -> None:
    """Point a detector's config at the user's labels.

    Raises:
        AdaptError: Its data set is no plain COCO data set, or its classes
            are counted in a way that cannot be changed here.
    """
    masks = has_masks(train, val)
    if not masks and plan.get('model.roi_head.mask_head') is not ABSENT:
        raise AdaptError(
            'the detector predicts masks, but not every object of the labels '
            'has a segmentation: take a detector of boxes'
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
        if kind(plan.get(evaluator)) != 'CocoMetric':
            raise AdaptError(
                f'{evaluator} must be one CocoMetric, as its AP is compared'
            )
        plan.set(f'{evaluator}.ann_file', str(args.val), 'as the data set')
        if not masks:
            plan.set(f'{evaluator}.metric', 'bbox', 'the labels have no masks')
    _count_classes(plan, 'model', len(classes))


def has_masks(*contents: dict) -> bool:
    """Whether each object has a segmentation."""
    return all(
        a.get('segmentation') for c in contents for a in c['annotations']
    )


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
