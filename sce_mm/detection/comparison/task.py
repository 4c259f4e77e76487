"""The task of a comparison of detectors: COCO labels, AP, boxes in images."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmengine.config import Config

from ...comparison import Measure, Task
from ...comparison.results import Results, hash_of
from ...config.rate_batch import batch_of_rate
from ...datasets.labels.coco_labels import (
    notes,
    number_from_one,
    part_of,
    read_coco,
    take_categories,
)
from ...downstream import BackboneFile, ConfigEdits
from ...utils.durable_files import write_durably, write_json
from ...utils.text import printable
from ..adapt import adapt
from .examples import detection_examples
from .labels import check_detector, use_labels

if TYPE_CHECKING:
    from ...comparison import Comparison
    from ...comparison.summary import Facts

# What mmdet's CocoMetric writes into the log.
METRICS = {
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
    columns = tuple(METRICS)
    # mmdet rounds AP to three digits: tenths in per cent.
    measure = Measure('box AP', 'detector', least=1.0, step=0.1)

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__(args)
        self.train: dict[str, Any] = {}
        self.val: dict[str, Any] = {}
        # What is evaluated has the classes of the training, counted alike.
        self.val_labels: Path = args.val

    @property
    def train_images(self) -> int:
        """Number of the labelled training images."""
        return len(self.train['images'])

    @property
    def objects(self) -> float:
        """Boxes in a labelled image, on average."""
        return len(self.train['annotations']) / max(self.train_images, 1)

    @property
    def boxes(self) -> dict[str, Any]:
        """Labels of the training."""
        return self.train

    def val_images(self) -> list[str]:
        """Paths of the validation images."""
        root = self.args.val_images
        return [str(root / x['file_name']) for x in self.val['images']]

    def read(self) -> list[str]:
        """Read both files, and list all that is wrong with them."""
        args = self.args
        self.train, problems = read_coco(args.train, args.train_images)
        self.val, more = read_coco(args.val, args.val_images)
        if problems or more:
            train = [f'--train: {problem}' for problem in problems]
            return train + [f'--val: {problem}' for problem in more]
        given = self.val
        try:
            self.val = number_from_one(
                take_categories(given, self.train['categories'])
            )
        except ValueError as error:
            return [
                f'--val: {args.val}: {error}, which are those of {args.train}'
            ]
        if self.val is not given:
            self.val_labels = args.out / 'labels' / f'{args.val.stem}.json'
        self.classes = [c['name'] for c in self.train['categories']]
        return []

    def notes(self) -> Iterator[str]:
        """Boxes that mmdet leaves out, and images of other sizes."""
        args = self.args
        for path, content, images in (
            (args.train, self.train, args.train_images),
            (args.val, self.val, args.val_images),
        ):
            for note in notes(content, images):
                yield f'{printable(path.name)}: {note}'

    def inputs(self) -> dict[str, Any]:
        """Hashes of the labels."""
        return {
            f'--{name}': hash_of(vars(self.args)[name].read_bytes())
            for name in ('train', 'val')
        }

    def use_labels(self, edits: ConfigEdits) -> None:
        """Point a detector's config at the labels."""
        if self.val_labels != self.args.val:
            write_json(self.val_labels, self.val)
        files = argparse.Namespace(
            **vars(self.args) | {'val': self.val_labels}
        )
        use_labels(edits, files, self.classes, self.train, self.val)

    def adapt(
        self, cfg: Config, file: BackboneFile
    ) -> tuple[ConfigEdits, str]:
        """Change a detector's config so that it uses a file rightly."""
        return adapt(cfg, file, rate_batch=batch_of_rate(self.config, cfg))

    def check(self, cfg: Config, labels: Sequence[Path]) -> dict[Path, int]:
        """Use data sets and metric of a detector once."""
        return check_detector(cfg, self.options, labels)

    def labels(self, percent: float, seed: int) -> Path:
        """Annotation file of a part, the one that sce coco-subset writes."""
        given: Path = self.args.train
        if percent == 100:
            return given
        name = f'{given.stem}.{seed}@{percent:g}.json'
        path: Path = self.args.out / 'labels' / name
        if not path.is_file():
            part = part_of(number_from_one(self.train), percent, seed)
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
        self, comparison: Comparison, results: Results, facts: Facts
    ) -> list[str]:
        """Validation images with labels and detections."""
        return detection_examples(self, comparison, results, facts)


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
        A value for each of ``METRICS`` that is evaluated, and ``classes``: AP
        of each class, of masks where these are evaluated; None for a class
        without objects.
    """

    def value(key: str) -> float:
        return 100 * logged.get(key, 0.0)

    each = {name: value(f'coco/{name}_precision') for name in classes}
    return {
        name: value(key)
        for name, key in METRICS.items()
        if masks or not name.startswith('mask')
    } | {'classes': {k: None if math.isnan(v) else v for k, v in each.items()}}
