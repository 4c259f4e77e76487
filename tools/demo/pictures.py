"""Pictures of the report, as arrays and as text for a page.

Images are ``[h, w, 3]`` uint8 BGR, as OpenCV has them.
"""

import base64
from collections.abc import Sequence

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from sce_mm.visualization.page import Tile

# One colour for each digit, BGR, told apart on photographs.
COLOURS = [
    cv2.cvtColor(np.uint8([[[18 * digit, 200, 255]]]), cv2.COLOR_HSV2BGR)[
        0, 0
    ].tolist()
    for digit in range(10)
]

# Height of a word of the page on a scene, as a share of the scene's.
TAG = 0.11


def data_uri(image: np.ndarray) -> str:
    """A picture that a page carries in itself."""
    _, encoded = cv2.imencode('.png', image)
    text = base64.b64encode(encoded.tobytes()).decode()
    return f'data:image/png;base64,{text}'


def with_objects(
    image: np.ndarray, objects: Sequence[dict], scale: int = 3
) -> np.ndarray:
    """A scene with boxes and masks drawn over it.

    Args:
        image: The scene.
        objects: COCO annotations or results: ``bbox``, ``segmentation`` as
            run lengths and ``category_id``.
        scale: Enlargement.
    """
    size = (image.shape[1] * scale, image.shape[0] * scale)
    canvas = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)
    for thing in objects:
        mask = coco_mask.decode(thing['segmentation'])
        mask = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST) > 0
        colour = np.array(COLOURS[thing['category_id']])
        canvas[mask] = (canvas[mask] * 0.45 + colour * 0.55).astype(np.uint8)
    for thing in objects:
        left, top, width, height = (
            round(value * scale) for value in thing['bbox']
        )
        cv2.rectangle(
            canvas,
            (left, top),
            (left + width, top + height),
            COLOURS[thing['category_id']],
            2,
        )
    return canvas


def scene_tile(image: np.ndarray, objects: Sequence[dict]) -> Tile:
    """A scene for the page: each box has its digit as a word of the page.

    Args:
        image: The scene.
        objects: As in :func:`with_objects`, perhaps with a ``score``.
    """
    height, width = image.shape[:2]
    objects = sorted(objects, key=lambda thing: thing['bbox'][0])
    words = [
        f'{thing["category_id"]}'
        + (f' ({100 * thing["score"]:.0f} %)' if 'score' in thing else '')
        for thing in objects
    ]
    tags = [
        (
            max(0.0, thing['bbox'][0] / width),
            # Above its box, where there is room for it.
            max(0.0, thing['bbox'][1] / height - TAG),
            str(thing['category_id']),
        )
        for thing in objects
    ]
    return Tile(
        data_uri(with_objects(image, objects)),
        ', '.join(words) or 'nothing',
        tags=tags,
    )
