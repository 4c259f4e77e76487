"""Show what detectors found in validation images, beside the labels."""

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mmdet.apis import inference_detector
from mmengine.registry import DefaultScope

from ...comparison.results import RANDOM, Results, without_checkpoint
from ...comparison.summary import Facts, shown_starts
from ...visualization import page
from ...visualization.detections import (
    LEGEND,
    Instance,
    coco_instance,
    detection_row,
    short_names,
)
from ...visualization.sheets import read_image

if TYPE_CHECKING:
    from ...comparison import Comparison
    from .task import Detection

IMAGES = 5
# Images of more objects are taken if there are no others: boxes would cover
# each other.
CLEAR = 15
# Scores below are those of chance; mmdet's own limit.
_LOWEST = 0.05


def detection_examples(
    task: 'Detection',
    comparison: 'Comparison',
    results: Results,
    facts: Facts,
) -> list[str]:
    """Rows of validation images: labels, and what each detector found.

    The detectors are those of the smallest part of the labels and the first
    seed, from random initialisation, from the pretraining, and from the best
    of the other starts. Each shows its surest boxes, as many as there are
    objects, so that no threshold favours one.
    """
    names = shown_starts(facts)
    runs = {name: results[name][facts.percent][0] for name in names}
    if gone := without_checkpoint(runs):
        return [
            page.paragraph(
                f'The checkpoints from {", ".join(gone)} are not there any '
                'more, so there are no examples of detections.'
            )
        ]
    truth = choose_examples(task.val)
    root = task.settings.val_images
    paths = [str(root / image['file_name']) for image, _ in truth]
    found = {
        name: detect(
            task.trained(comparison.config(name), run['checkpoint']),
            paths,
            task.classes,
        )
        for name, run in runs.items()
    }
    side = page.tile_side(1 + len(names))
    rows = [
        detection_row(
            read_image(path),
            objects,
            {n: _surest(found[n][number], len(objects)) for n in names},
            side,
            task.classes,
        )
        for number, (path, (_, objects)) in enumerate(
            zip(paths, truth, strict=True)
        )
    ]
    short = short_names(set(task.classes))
    letters = ', '.join(f'{s} {n}' for n, s in short.items() if n != s)
    return [
        page.heading(
            'What the detectors find',
            f'Validation images drawn at random, and the detectors trained '
            f'with {facts.percent:g} % of the labels and seed '
            f'{runs[RANDOM]["seed"]}. Each shows as many boxes as there are '
            f'labelled objects, those with the highest scores. {LEGEND}'
            + (f' Letters are classes: {letters}.' if letters else ''),
        ),
        page.panel(rows),
    ]


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
