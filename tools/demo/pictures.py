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


def enlarged(image: np.ndarray, side: int) -> np.ndarray:
    """Resized to a square, pixels kept visible."""
    return cv2.resize(image, (side, side), interpolation=cv2.INTER_NEAREST)


def grid(rows: Sequence[Sequence[np.ndarray]], gap: int = 6) -> np.ndarray:
    """Pictures of one size in rows, on white."""
    height, width = rows[0][0].shape[:2]
    columns = max(len(row) for row in rows)
    sheet = np.full(
        (
            len(rows) * (height + gap) - gap,
            columns * (width + gap) - gap,
            3,
        ),
        255,
        np.uint8,
    )
    for r, row in enumerate(rows):
        for c, image in enumerate(row):
            top, left = r * (height + gap), c * (width + gap)
            sheet[top : top + height, left : left + width] = image
    return sheet


def captioned(
    image: np.ndarray, text: str, right: bool | None = None
) -> np.ndarray:
    """A picture with a line below it.

    Args:
        image: The picture.
        text: The line.
        right: Green if true, red if false, grey if there is nothing to say.
    """
    colour = {True: (60, 140, 40), False: (50, 50, 200), None: (90, 90, 90)}
    strip = np.full((20, image.shape[1], 3), 255, np.uint8)
    cv2.putText(
        strip,
        text,
        (2, 14),
        cv2.FONT_HERSHEY_SIMPLEX,
        0.42,
        colour[right],
        1,
        cv2.LINE_AA,
    )
    return np.vstack([image, strip])


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
