"""Put digits on photographs.

Legend: alpha is the share of ink in a pixel, 0 to 1, ``[h, w]`` float32.
"""

import cv2
import numpy as np
from numpy.random import Generator

# Pixels with more ink than this belong to a digit's mask.
MASK_LEVEL = 0.4
# Photographs are darkened to a mean in this range, ink is lighter.
GROUND = (20, 100)
INK = (170, 255)
TINT = 35


def background(
    photo: np.ndarray,
    size: int,
    rng: Generator,
    zoom: tuple[float, float],
    contrast: float,
) -> np.ndarray:
    """A random square of a photograph, darkened, of ``size`` pixels.

    Its side lies within ``zoom``, in results; ``contrast`` is the share of the
    photograph's own contrast that is kept.
    """
    height, width = photo.shape[:2]
    side = min(round(size * rng.uniform(*zoom)), height, width)
    top = int(rng.integers(height - side + 1))
    left = int(rng.integers(width - side + 1))
    square = photo[top : top + side, left : left + side]
    square = cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA)
    square = np.rot90(square, int(rng.integers(4))).astype(np.float32)
    dark = (square - square.mean()) * contrast + rng.uniform(*GROUND)
    return np.ascontiguousarray(np.clip(dark, 0, 255), np.uint8)


def stamp(digit: np.ndarray, size: int, rng: Generator) -> np.ndarray:
    """Alpha of a digit, turned and slanted a little, cropped to its ink.

    The larger side of the result is ``size`` pixels.
    """
    tight = _cropped(digit, 64)
    height, width = tight.shape
    side = 2 * max(height, width)
    turn = cv2.getRotationMatrix2D((0, 0), rng.uniform(-15, 15), 1)
    turn[0, 1] += rng.uniform(-0.25, 0.25)
    turn[:, 2] = side / 2 - turn[:, :2] @ [width / 2, height / 2]
    ink = cv2.warpAffine(tight, turn, (side, side), flags=cv2.INTER_CUBIC)
    ink = _cropped(ink, 64)
    scale = size / max(ink.shape)
    width, height = (max(3, round(n * scale)) for n in ink.shape[::-1])
    ink = cv2.resize(ink, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(ink.astype(np.float32) / 255 * 1.3 - 0.15, 0, 1)


def _cropped(ink: np.ndarray, level: int) -> np.ndarray:
    rows, columns = np.nonzero(ink > level)
    return ink[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def draw(
    canvas: np.ndarray, alpha: np.ndarray, top: int, left: int, rng: Generator
) -> None:
    """Ink a stamp into the canvas, in place, in a light colour."""
    h, w = alpha.shape
    window = canvas[top : top + h, left : left + w]
    share = alpha[..., None] * rng.uniform(0.75, 1.0)
    ink = light_colour(rng)
    window[:] = np.rint(window * (1 - share) + ink * share).astype(np.uint8)


def light_colour(rng: Generator) -> np.ndarray:
    colour = rng.uniform(*INK) + rng.uniform(-TINT, TINT, 3)
    return np.clip(colour, 0, 255)


def scribble(canvas: np.ndarray, rng: Generator) -> None:
    """Draw a curve that is no digit into the canvas, in place."""
    size = canvas.shape[0]
    points = rng.uniform(-0.2 * size, 1.2 * size, (4, 2))
    t = np.linspace(0, 1, 24)[:, None]
    curve = (
        (1 - t) ** 3 * points[0]
        + 3 * t * (1 - t) ** 2 * points[1]
        + 3 * t**2 * (1 - t) * points[2]
        + t**3 * points[3]
    )
    line = np.rint(curve).astype(np.int32)
    colour = (light_colour(rng) * rng.uniform(0.3, 1.0)).tolist()
    width = int(rng.integers(1, 3))
    cv2.polylines(canvas, [line], False, colour, width, cv2.LINE_AA)
