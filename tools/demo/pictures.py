"""Pictures of the report, as arrays and as text for a page.

Images are ``[h, w, 3]`` uint8 BGR, as OpenCV has them.
"""

import base64
from collections.abc import Sequence

import cv2
import numpy as np
from pycocotools import mask as coco_mask

# One colour for each digit, BGR, told apart on photographs.
COLOURS = [
    cv2.cvtColor(np.uint8([[[18 * digit, 200, 255]]]), cv2.COLOR_HSV2BGR)[
        0, 0
    ].tolist()
    for digit in range(10)
]


def data_uri(image: np.ndarray) -> str:
    """A picture that a page carries in itself."""
    _, encoded = cv2.imencode('.png', image)
    text = base64.b64encode(encoded.tobytes()).decode()
    return f'data:image/png;base64,{text}'


def with_objects(
    image: np.ndarray, objects: Sequence[dict], scale: int = 2
) -> np.ndarray:
    """A scene with boxes, masks and classes drawn over it.

    Args:
        image: The scene.
        objects: COCO annotations or results: ``bbox``, ``segmentation`` as
            run lengths, ``category_id`` and perhaps ``score``.
        scale: Enlargement.
    """
    size = (image.shape[1] * scale, image.shape[0] * scale)
    canvas = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)
    for thing in objects:
        colour = COLOURS[thing['category_id']]
        mask = coco_mask.decode(thing['segmentation'])
        mask = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST) > 0
        canvas[mask] = (canvas[mask] * 0.45 + np.array(colour) * 0.55).astype(
            np.uint8
        )
    for thing in objects:
        colour = COLOURS[thing['category_id']]
        left, top, width, height = (
            round(value * scale) for value in thing['bbox']
        )
        cv2.rectangle(
            canvas, (left, top), (left + width, top + height), colour, 1
        )
        text = str(thing['category_id'])
        if 'score' in thing:
            text += f' {thing["score"]:.2f}'
        cv2.putText(
            canvas,
            text,
            (left + 2, max(top - 3, 11)),
            cv2.FONT_HERSHEY_SIMPLEX,
            0.42,
            (0, 0, 0),
            3,
            cv2.LINE_AA,
        )
        cv2.putText(
            canvas,
            text,
            (left + 2, max(top - 3, 11)),
            cv2.FONT_HERSHEY_SIMPLEX,
            0.42,
            (255, 255, 255),
            1,
            cv2.LINE_AA,
        )
    return canvas
