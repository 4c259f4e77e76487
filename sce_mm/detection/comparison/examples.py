"""Show what detectors found in validation images, beside the labels."""

import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mmdet.apis import inference_detector
from mmengine.registry import DefaultScope

from ...visualization import page
from ...visualization.detections import (
    LEGEND,
    Instance,
    coco_instance,
    detection_row,
    short_names,
)
from ...visualization.sheets import read_image

IMAGES = 5
# Images of more objects are taken if there are no others: boxes would cover
# each other.
CLEAR = 15
# Scores below are those of chance; mmdet's own limit.
_LOWEST = 0.05


def detection_examples(
    models: Iterable[tuple[str, Any]],
    labels: dict[str, Any],
    folder: Path,
    classes: Sequence[str],
) -> tuple[str, str, list[str]]:
    """Rows of validation images: labels, and what each detector found.

    Each detector shows its surest boxes, as many as there are objects, so
    that no threshold favours one. See :meth:`Task.examples`.

    Args:
        models: Starts with a trained detector.
        labels: Those of the validation.
        folder: Where its images lie.
        classes: Their names.
    """
    truth = choose_examples(labels)
    paths = [str(folder / image['file_name']) for image, _ in truth]
    found = {name: detect(model, paths, classes) for name, model in models}
    side = page.tile_side(1 + len(found))
    rows = [
        detection_row(
            read_image(path),
            objects,
            {n: _surest(of[number], len(objects)) for n, of in found.items()},
            side,
            classes,
        )
        for number, (path, (_, objects)) in enumerate(
            zip(paths, truth, strict=True)
        )
    ]
    text = (
        'Each shows as many boxes as there are labelled objects, those with '
        f'the highest scores. {LEGEND}'
    )
    short = short_names(set(classes))
    if letters := [f'{short[n]} = {n}' for n in classes if short[n] != n]:
        text += f' Letters stand for classes: {", ".join(letters)}.'
    return 'What the detectors find', text, rows


def choose_examples(
    labels: dict[str, Any],
) -> list[tuple[dict[str, Any], list[Instance]]]:
    """Images drawn by lot, with their objects; crowds are no objects.

    Images of one to ``CLEAR`` objects come first, then those of more.
    """
    names = {c['id']: c['name'] for c in labels['categories']}
    objects: dict[int, list[Instance]] = {}
    for entry in labels['annotations']:
        if not entry.get('iscrowd'):
            instance = coco_instance(entry, names[entry['category_id']])
            objects.setdefault(entry['image_id'], []).append(instance)
    images = [image for image in labels['images'] if image['id'] in objects]
    random.Random(0).shuffle(images)
    images.sort(key=lambda image: max(len(objects[image['id']]), CLEAR))
    return [(image, objects[image['id']]) for image in images[:IMAGES]]


def detect(
    model: Any, paths: Sequence[str], classes: Sequence[str]
) -> list[list[Instance]]:
    """What a detector finds in each image, one at a time."""
    with DefaultScope.overwrite_default_scope('mmdet'):
        samples = [inference_detector(model, path) for path in paths]
    return [
        [
            Instance(tuple(box), classes[label], score)
            for box, label, score in zip(
                found.bboxes.tolist(),
                found.labels.tolist(),
                found.scores.tolist(),
                strict=True,
            )
        ]
        for found in (sample.pred_instances for sample in samples)
    ]


def _surest(found: list[Instance], count: int) -> list[Instance]:
    kept = [x for x in found if x.score >= _LOWEST]
    return sorted(kept, key=lambda x: -x.score)[:count]
