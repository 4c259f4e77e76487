"""Sheets of small pictures with a line below each.

Pictures are ``[h, w, 3]`` uint8 BGR, as OpenCV has them.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from ..datasets.images.decoding import decode_image


def centre_square(path: str, side: int) -> np.ndarray:
    """Central square of an image file, ``[side, side, 3]``.

    Small images are enlarged with their pixels visible.
    """
    with open(path, 'rb') as file:
        image = decode_image(file.read())
    height, width = image.shape[:2]
    short = min(height, width)
    top, left = (height - short) // 2, (width - short) // 2
    square = image[top : top + short, left : left + short]
    if short < side:
        return enlarged(square, side)
    return cv2.resize(square, (side, side), interpolation=cv2.INTER_AREA)


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


def titled(sheet: np.ndarray, text: str) -> np.ndarray:
    """A sheet below a heading, with a margin."""
    sheet = cv2.copyMakeBorder(
        sheet, 4, 14, 12, 12, cv2.BORDER_CONSTANT, value=(255, 255, 255)
    )
    band = np.full((34, sheet.shape[1], 3), 255, np.uint8)
    cv2.putText(
        band,
        text,
        (14, 24),
        cv2.FONT_HERSHEY_SIMPLEX,
        0.55,
        (30, 30, 30),
        1,
        cv2.LINE_AA,
    )
    return np.vstack([band, sheet])
