"""Draw what detectors found in an image beside what is in it.

Each image is one row: the labels, then the detections of each detector.
Right, wrong and missed differ in the line around the object: whole, dashed
and dotted.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torchvision.ops import box_iou  # type: ignore[import-untyped]

from ..utils.text import counted
from .page import Box, Tile, tiles
from .sheets import at_page_width, data_uri

# Intersection over union above which a detection is that of an object; AP50
# asks for the same.
OVERLAP = 0.5
# Height of a word on an image, as a share of the image's.
TAG = 0.07
# Right detections of more objects go without a word.
_FEW = 8
_TINTS = {'right': (203, 107, 11), 'wrong': (0, 89, 179)}
LEGEND = (
    'Solid lines are correct: the class of the object, and an overlap of at '
    'least a half. Dashed lines with ✗ are wrong; dotted lines with ? are '
    'objects that were missed.'
)


class Instance(NamedTuple):
    """An object of the labels, or a detection.

    Attributes:
        box: Left, top, right and bottom in pixels.
        name: Its class.
        score: Score of a detection, 0 to 1.
        mask: ``[h, w]``, not zero inside, if there is one.
    """

    box: tuple[float, float, float, float]
    name: str
    score: float = 1.0
    mask: np.ndarray | None = None


def coco_instance(
    entry: Mapping[str, Any], name: str, mask: np.ndarray | None = None
) -> Instance:
    """An annotation of COCO, or a result, which has a score."""
    left, top, width, height = entry['bbox']
    box = left, top, left + width, top + height
    return Instance(box, name, entry.get('score', 1.0), mask)


def match(
    truth: Sequence[Instance], found: Sequence[Instance]
) -> list[int | None]:
    """The object of each detection, None if it is wrong.

    As in the evaluation of COCO the detections choose in the order of their
    scores, each the object of its class that it overlaps most; an object is
    given once.

    >>> cat = Instance((0, 0, 10, 10), 'cat')
    >>> twice = [cat._replace(score=0.5), cat._replace(score=0.9)]
    >>> match([cat], twice)
    [None, 0]
    >>> match([cat], [cat._replace(name='dog')])
    [None]
    """
    objects: list[int | None] = [None] * len(found)
    if not truth or not found:
        return objects
    overlaps = box_iou(
        torch.tensor([x.box for x in found], dtype=torch.double),
        torch.tensor([x.box for x in truth], dtype=torch.double),
    )
    free = set(range(len(truth)))
    for index in sorted(range(len(found)), key=lambda i: -found[i].score):
        candidates = [
            t
            for t in sorted(free)
            if truth[t].name == found[index].name
            and overlaps[index, t] >= OVERLAP
        ]
        if candidates:
            best = max(candidates, key=lambda t: float(overlaps[index, t]))
            objects[index] = best
            free.remove(best)
    return objects


def detection_row(
    image: np.ndarray,
    truth: Sequence[Instance],
    found: Mapping[str, Sequence[Instance]],
    side: int,
    classes: Iterable[str],
) -> str:
    """Tiles of one image ``[h, w, 3]``: its labels, then each detector.

    Args:
        image: The image.
        truth: Its objects.
        found: Detections, by the name of the detector.
        side: Pixels of the page along the width of a tile.
        classes: Names of all classes: those on the image are shortened so
            that no two of them are alike.
    """
    short = short_names(set(classes))
    marked = [(x, 'right', short[x.name]) for x in truth]
    row = [_tile(image, marked, f'Labels: {counted(len(truth), "object")}')]
    for name, instances in found.items():
        objects = match(truth, instances)
        missed = set(range(len(truth))) - set(objects)
        marked = [(truth[t], 'missed', '?') for t in sorted(missed)]
        for instance, index in zip(instances, objects, strict=True):
            if index is None:
                word = f'✗ {short[instance.name]}'
                marked.append((instance, 'wrong', word))
            else:
                word = short[instance.name] if len(truth) <= _FEW else ''
                marked.append((instance, 'right', word))
        right = len(truth) - len(missed)
        wrong = len(instances) - right
        caption = f'{name}: {right} of {len(truth)} found, {wrong} wrong'
        row.append(_tile(image, marked, caption))
    return tiles(row, side)


def short_names(names: set[str]) -> dict[str, str]:
    """The shortest beginning of each name that no other has.

    >>> sorted(short_names({'RBC', 'WBC', 'plate', 'platelet'}).items())
    [('RBC', 'R'), ('WBC', 'W'), ('plate', 'plate'), ('platelet', 'platel')]
    """

    def shortest(name: str) -> str:
        others = names - {name}
        lengths = range(1, len(name) + 1)
        starts = (name[:length] for length in lengths)
        free = (s for s in starts if not any(o.startswith(s) for o in others))
        return next(free, name)

    return {name: shortest(name) for name in names}


def _tile(
    image: np.ndarray,
    marked: Sequence[tuple[Instance, str, str]],
    caption: str,
) -> Tile:
    """An image with a line around each instance: its kind and its word."""
    height, width = image.shape[:2]
    canvas = at_page_width(image)
    boxes, tags = [], []
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for instance, kind, word in marked:
        if instance.mask is not None and kind in _TINTS:
            mask = cv2.resize(
                instance.mask.astype(np.uint8),
                canvas.shape[1::-1],
                interpolation=cv2.INTER_NEAREST,
            )
            tint = 0.45 * canvas + 0.55 * np.array(_TINTS[kind])
            canvas = np.where(mask[..., None] > 0, tint, canvas)
        left, right = np.clip(np.divide(instance.box[::2], width), 0, 1)
        top, bottom = np.clip(np.divide(instance.box[1::2], height), 0, 1)
        words = f'{instance.name}, {kind}'
        seen[kind][instance.name] += 1
        boxes.append(Box(left, top, right - left, bottom - top, kind, words))
        if word:
            # Above its box, where there is room for it.
            tags.append((float(left), max(0.0, float(top) - TAG), word))
    uri = data_uri(canvas.astype(np.uint8), photo=True)
    alt = '; '.join(
        f'{kind}: {", ".join(f"{n} {name}" for name, n in names.items())}'
        for kind, names in seen.items()
    )
    return Tile(uri, caption, tags=tags, boxes=boxes, alt=alt or 'no boxes')
