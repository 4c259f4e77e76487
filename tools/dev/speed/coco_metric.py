"""Speed of the COCO metric of detectors, against mmdet's own.

    python tools/dev/speed/coco_metric.py --json coco_metric.json

Made-up boxes: seven true ones an image, as in COCO, and a hundred detections
an image of a mediocre detector, some near a true box and the rest anywhere.
From the stored detections to the numbers; each metric gets the same ones.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from measuring import interleaved, machine
from mmdet.evaluation.metrics import CocoMetric
from mmengine.logging import MMLogger

from sce_mm.cli.exit import run_main
from sce_mm.detection import FastCocoMetric

SIDE, TRUE_BOXES, DETECTIONS = 512, 7, 100
METRICS = {'FastCocoMetric': FastCocoMetric, 'CocoMetric': CocoMetric}


def main() -> None:
    """Measure and print."""
    args = parse_args()
    MMLogger.get_instance('coco_metric').setLevel(logging.ERROR)
    logging.getLogger('faster_coco_eval').setLevel(logging.ERROR)
    draw = np.random.default_rng(0)
    boxes = [draw_boxes(draw, TRUE_BOXES) for _ in range(args.images)]
    labels = [
        draw.integers(0, args.classes, TRUE_BOXES) for _ in range(args.images)
    ]
    report: dict = {
        'machine': machine(),
        'images': args.images,
        'classes': args.classes,
        'detections': DETECTIONS,
    }
    with tempfile.TemporaryDirectory() as folder:
        truth = Path(folder) / 'truth.json'
        truth.write_text(json.dumps(annotations(boxes, labels, args.classes)))
        samples = detections(draw, boxes, labels, args.classes)
        runs = {
            name: prepare(kind, truth, samples, args.classes)
            for name, kind in METRICS.items()
        }
        # Both print tables.
        with contextlib.redirect_stdout(io.StringIO()):
            report['seconds'] = interleaved(runs, args.repeats)
            numbers = {name: run() for name, run in runs.items()}
    report['metrics'] = numbers
    report['equal'] = numbers['FastCocoMetric'] == numbers['CocoMetric']
    for name, seconds in report['seconds'].items():
        print(f'{name:16s} {seconds:7.2f} s, {dict(numbers[name])}')
    if args.json:
        args.json.write_text(json.dumps(report, indent=2) + '\n')


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--images', type=int, default=1000)
    parser.add_argument('--classes', type=int, default=80)
    parser.add_argument('--repeats', type=int, default=3)
    parser.add_argument('--json', type=Path, help='write the figures here')
    return parser.parse_args()


def draw_boxes(draw: np.random.Generator, number: int) -> np.ndarray:
    """Corners ``[number, 4]``, small, medium and large."""
    size = np.exp(draw.uniform(np.log(8), np.log(300), (number, 2)))
    start = draw.uniform(0, SIDE - size)
    return np.concatenate([start, start + size], axis=1)


def annotations(
    boxes: list[np.ndarray], labels: list[np.ndarray], classes: int
) -> dict:
    """The true boxes as COCO writes them."""
    entries = []
    for image, (corners, kinds) in enumerate(zip(boxes, labels, strict=True)):
        for (left, top, right, bottom), kind in zip(
            corners.tolist(), kinds.tolist(), strict=True
        ):
            width, height = right - left, bottom - top
            entries.append(
                {
                    'id': len(entries) + 1,
                    'image_id': image,
                    'category_id': kind + 1,
                    'bbox': [left, top, width, height],
                    'area': width * height,
                    'iscrowd': 0,
                }
            )
    return {
        'info': {},
        'images': [
            {'id': i, 'file_name': f'{i}.jpg', 'width': SIDE, 'height': SIDE}
            for i in range(len(boxes))
        ],
        'categories': [{'id': i + 1, 'name': str(i)} for i in range(classes)],
        'annotations': entries,
    }


def detections(
    draw: np.random.Generator,
    boxes: list[np.ndarray],
    labels: list[np.ndarray],
    classes: int,
) -> list[dict]:
    """What a detector hands to its metric, one dict an image."""
    samples = []
    for image, (corners, kinds) in enumerate(zip(boxes, labels, strict=True)):
        near = np.repeat(corners, 3, axis=0)
        near = near + draw.normal(0, 6, near.shape)
        rest = DETECTIONS - len(near)
        found = np.concatenate([near, draw_boxes(draw, rest)])
        classed = np.concatenate(
            [np.repeat(kinds, 3), draw.integers(0, classes, rest)]
        )
        samples.append(
            {
                'img_id': image,
                'ori_shape': (SIDE, SIDE),
                'pred_instances': {
                    'bboxes': torch.from_numpy(found),
                    'scores': torch.from_numpy(draw.random(DETECTIONS)),
                    'labels': torch.from_numpy(classed),
                },
            }
        )
    return samples


def prepare(
    kind: type[CocoMetric], truth: Path, samples: list[dict], classes: int
) -> Callable[[], dict[str, float]]:
    """A metric that has seen all detections."""
    metric = kind(ann_file=str(truth), metric='bbox')
    metric.dataset_meta = {'classes': tuple(map(str, range(classes)))}
    metric.process({}, samples)
    return lambda: metric.compute_metrics(metric.results)


if __name__ == '__main__':
    run_main(main)
