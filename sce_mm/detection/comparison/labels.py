"""Point a detector at the user's labels, and use them once before hours pass.

The labels are kept out of the pretraining as well.
"""

import argparse
import contextlib
import copy
import io
import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from mmdet.registry import DATASETS, METRICS
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from ...config.check import check_config
from ...config.errors import ConfigError
from ...config.parts import innermost_dataset
from ...config.reading import override, walk
from ...datasets.images.file_lists import find_images, write_image_list
from ...datasets.images.near_duplicates import Copy, find_copies
from ...datasets.labels.coco_labels import is_mask
from ...downstream import AdaptError, ConfigEdits, type_name
from ..adapt.classes import COCO_METRICS, class_problems


def unlabelled_without_copies(
    folders: list[Path], val: dict[str, Any], val_images: Path, out: Path
) -> list[Copy]:
    """Write the list of images to pretrain on.

    Returns:
        Copies of validation images, which are left out.

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


def use_labels(
    edits: ConfigEdits,
    args: argparse.Namespace,
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
        ('train_dataloader', args.train, args.train_images),
        ('val_dataloader', args.val, args.val_images),
        ('test_dataloader', args.val, args.val_images),
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
            'ann_file': str(args.val),
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


def check_detector(
    cfg: Config, options: Sequence[str], labels: Sequence[Path]
) -> dict[Path, int]:
    """Find what would end a training or its evaluation, in the first minute.

    Args:
        cfg: Config of the detector on the user's labels.
        options: Overrides of every training, written into the config.
        labels: Annotation files of the trainings.

    Returns:
        How many batches an epoch has, by the file of labels.

    Raises:
        ConfigError: The config, a data set or the metric does not work.
    """
    override(cfg, options, '--detector-options')
    check_config(cfg, also=[class_problems])
    logger = MMLogger.get_current_instance()
    level = logger.level
    # Tables of a detector that has not been trained would only confuse.
    logger.setLevel(logging.ERROR)
    scope = DefaultScope.overwrite_default_scope('mmdet')
    try:
        with scope, contextlib.redirect_stdout(io.StringIO()):
            batches = {file: _load_one(cfg, file) for file in labels}
            _evaluate_one(cfg)
    finally:
        logger.setLevel(level)
    return batches


def _load_one(cfg: Config, labels: Path) -> int:
    """Load an image by the training's loader; batches of an epoch."""
    cfg = copy.deepcopy(cfg)
    key, dataset = innermost_dataset(cfg)
    dataset.ann_file = str(labels)
    wanted = dataset.get('filter_cfg')
    hint = f' Images are kept by filter_cfg={dict(wanted)}' if wanted else ''
    with _explained(f'{key} with {labels}', hint):
        loader = Runner.build_dataloader(cfg.train_dataloader, seed=0)
        loader.dataset[0]
        if not len(loader):
            raise ValueError(
                f'{len(loader.dataset)} images are fewer than a batch, and '
                'drop_last leaves them out'
            )
        return len(loader)


def _evaluate_one(cfg: Config) -> None:
    """Evaluate one made-up detection against all objects."""
    with _explained('val_dataloader.dataset'):
        dataset = DATASETS.build(cfg.val_dataloader.dataset)
        sample = dataset[0]['data_samples']
    height, width = sample.ori_shape
    found = {
        'bboxes': torch.tensor([[0.0, 0.0, width, height]]),
        'scores': torch.ones(1),
        'labels': torch.zeros(1, dtype=torch.long),
        'masks': torch.ones(1, height, width, dtype=torch.bool),
    }
    with tempfile.TemporaryDirectory() as folder, _explained('val_evaluator'):
        # Else the metric makes a folder, which it leaves when it fails.
        where = {'outfile_prefix': f'{folder}/results'}
        metric = METRICS.build({**cfg.val_evaluator, **where})
        metric.dataset_meta = dataset.metainfo
        entry = {'img_id': sample.img_id, 'ori_shape': sample.ori_shape}
        metric.process({}, [entry | {'pred_instances': found}])
        metric.evaluate(1)


@contextlib.contextmanager
def _explained(what: str, hint: str = '') -> Iterator[None]:
    try:
        yield
    # Whatever a data set, a transform or the metric raises.
    except Exception as error:
        raise ConfigError(
            f'the detector cannot use {what}: {type(error).__name__}: '
            f'{error}.{hint}'
        ) from error
