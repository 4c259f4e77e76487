"""The task of a comparison of detectors: COCO labels, AP, boxes in images."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from mmdet.registry import DATASETS, METRICS
from mmengine.config import Config

from ...comparison import Measure, Settings, Task
from ...config.rate_batch import batch_of_rate
from ...datasets.labels.coco_labels import (
    has_objects,
    notes,
    number_from_one,
    part_of,
    read_coco,
    take_categories,
)
from ...downstream import BackboneFile, ConfigEdits
from ...utils.durable_files import write_durably, write_json
from ...utils.errors import UserError
from ...utils.hashes import hash_of
from ...utils.text import printable
from ..adapt import adapt
from ..adapt.classes import class_problems
from .examples import detection_examples
from .labels import use_labels

# What mmdet's CocoMetric writes into the log.
COCO_VALUES = {
    'box AP': 'coco/bbox_mAP',
    'box AP50': 'coco/bbox_mAP_50',
    'mask AP': 'coco/segm_mAP',
    'mask AP50': 'coco/segm_mAP_50',
}


class Detection(Task):
    """Detectors of mmdet on labels in COCO format, by their box AP."""

    predictor = 'detector'
    scope = 'mmdet'
    maker = 'sce detector'
    columns = tuple(COCO_VALUES)
    predictions = 'detections'
    class_problems = staticmethod(class_problems)
    # mmdet rounds AP to three digits: tenths in per cent.
    measure = Measure('box AP', 'detector', least=1.0, step=0.1)

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.train: dict[str, Any] = {}
        self.val: dict[str, Any] = {}
        # What is evaluated has the classes of the training, counted alike.
        self.val_labels = settings.val

    def train_images(self) -> list[str]:
        """Paths of the labelled training images."""
        root = self.settings.train_images
        return [str(root / x['file_name']) for x in self.train['images']]

    @property
    def objects(self) -> float:
        """Boxes in a labelled image, on average."""
        return len(self.train['annotations']) / max(
            len(self.train['images']), 1
        )

    @property
    def boxes(self) -> dict[str, Any]:
        """Labels of the training."""
        return self.train

    def val_images(self) -> list[str]:
        """Paths of the validation images."""
        root = self.settings.val_images
        return [str(root / x['file_name']) for x in self.val['images']]

    def read(self) -> list[str]:
        """Read both files, and list all that is wrong with them."""
        given = self.settings
        self.train, problems = read_coco(given.train, given.train_images)
        self.val, more = read_coco(given.val, given.val_images)
        if problems or more:
            train = [f'--train: {problem}' for problem in problems]
            return train + [f'--val: {problem}' for problem in more]
        val = self.val
        try:
            self.val = number_from_one(
                take_categories(val, self.train['categories'])
            )
        except ValueError as error:
            return [
                f'--val: {given.val}: {error}, which are those of '
                f'{given.train}'
            ]
        if self.val is not val:
            self.val_labels = given.out / 'labels' / f'{given.val.stem}.json'
        self.classes = [c['name'] for c in self.train['categories']]
        return []

    def notes(self) -> Iterator[str]:
        """Boxes that mmdet leaves out, and images of other sizes."""
        given = self.settings
        for path, content, images in (
            (given.train, self.train, given.train_images),
            (given.val, self.val, given.val_images),
        ):
            for note in notes(content, images):
                yield f'{printable(path.name)}: {note}'

    def inputs(self) -> dict[str, Any]:
        """Hashes of the labels."""
        return {
            '--train': hash_of(self.settings.train.read_bytes()),
            '--val': hash_of(self.settings.val.read_bytes()),
        }

    def use_labels(self, edits: ConfigEdits) -> None:
        """Point a detector's config at the labels."""
        if self.val_labels != self.settings.val:
            write_json(self.val_labels, self.val)
        files = replace(self.settings, val=self.val_labels)
        use_labels(edits, files, self.classes, self.train, self.val)

    def adapt(
        self, cfg: Config, file: BackboneFile
    ) -> tuple[ConfigEdits, str]:
        """Change a detector's config so that it uses a file rightly."""
        return adapt(cfg, file, rate_batch=batch_of_rate(self.config, cfg))

    def evaluate_one(self, cfg: Config) -> None:
        """Evaluate one made-up detection against all objects."""
        with self.explained('val_dataloader.dataset'):
            dataset = DATASETS.build(cfg.val_dataloader.dataset)
            sample = dataset[0]['data_samples']
        height, width = sample.ori_shape
        found = {
            'bboxes': torch.tensor([[0.0, 0.0, width, height]]),
            'scores': torch.ones(1),
            'labels': torch.zeros(1, dtype=torch.long),
            'masks': torch.ones(1, height, width, dtype=torch.bool),
        }
        evaluator = self.explained('val_evaluator')
        with tempfile.TemporaryDirectory() as folder, evaluator:
            # Else the metric makes a folder, which it leaves when it fails.
            where = {'outfile_prefix': f'{folder}/results'}
            metric = METRICS.build({**cfg.val_evaluator, **where})
            metric.dataset_meta = dataset.metainfo
            entry = {'img_id': sample.img_id, 'ori_shape': sample.ori_shape}
            metric.process({}, [entry | {'pred_instances': found}])
            metric.evaluate(1)

    def labels(self, percent: float, seed: int) -> Path:
        """Annotation file of a part, the one that sce coco-subset writes."""
        given = self.settings.train
        if percent == 100:
            return given
        name = f'{given.stem}.{seed}@{percent:g}.json'
        path = self.settings.out / 'labels' / name
        if not path.is_file():
            part = part_of(number_from_one(self.train), percent, seed)
            if not has_objects(part):
                raise UserError(
                    f'--percent {percent:g}: the images of seed {seed}, '
                    f'{len(part["images"])} of {len(self.train["images"])}, '
                    'have no box to learn: give a larger share, or another '
                    'of --seeds'
                )
            write_durably(path, json.dumps(part).encode())
        return path

    def metrics(
        self, logged: Mapping[str, float], cfg: Config
    ) -> dict[str, Any]:
        """COCO metrics, and AP of each class."""
        masks = 'segm' in cfg.val_evaluator.metric
        return coco_metrics(logged, self.classes, masks)

    def class_metric(self, run: Mapping[str, Any]) -> str:
        """AP of masks where these are evaluated."""
        return 'mask AP' if 'mask AP' in run else 'box AP'

    def examples(
        self, models: Iterable[tuple[str, Any]]
    ) -> tuple[str, str, list[str]]:
        """Validation images with labels and detections."""
        images = self.settings.val_images
        return detection_examples(models, self.val, images, self.classes)


def coco_metrics(
    logged: Mapping[str, float], classes: Sequence[str], masks: bool
) -> dict[str, Any]:
    """COCO metrics of an evaluation, in per cent.

    If the detector found nothing, mmdet writes no metric at all: that is zero.

    Args:
        logged: What CocoMetric wrote into the log.
        classes: Their names.
        masks: Whether masks were evaluated.

    Returns:
        A value for each of ``COCO_VALUES`` that is evaluated, and
        ``classes``: AP of each class, of masks where these are evaluated;
        None for a class without objects.
    """

    def value(key: str) -> float:
        return 100 * logged.get(key, 0.0)

    each = {name: value(f'coco/{name}_precision') for name in classes}
    return {
        name: value(key)
        for name, key in COCO_VALUES.items()
        if masks or not name.startswith('mask')
    } | {'classes': {k: None if math.isnan(v) else v for k, v in each.items()}}
