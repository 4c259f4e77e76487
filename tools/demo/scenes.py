"""Make scenes of several digits with a box and a mask each."""

from typing import NamedTuple

import cv2
import numpy as np
from drawing import MASK_LEVEL, background, draw, scribble, stamp
from numpy.random import Generator
from pycocotools import mask as coco_mask

# Side of a scene and of the digits in it, in pixels.
SIDE = 128
DIGIT = (22, 52)
COUNT = (2, 6)
SCRIBBLES = 5
# Share of the photographs' own contrast.
CONTRAST = 0.6
# Share of a digit that later ones may cover.
LARGEST_COVER = 0.3


class Instance(NamedTuple):
    """A digit in a scene."""

    row: int  # Of the digit table.
    digit: int
    mask: np.ndarray  # What is visible of it, ``[h, w]`` bool.

    def annotation(self) -> dict:
        """Class, mask, box and area as COCO has them."""
        encoded = coco_mask.encode(np.asfortranarray(self.mask, np.uint8))
        return {
            'category_id': self.digit,
            'iscrowd': 0,
            'bbox': coco_mask.toBbox(encoded).tolist(),
            'area': int(self.mask.sum()),
            'segmentation': encoded | {'counts': encoded['counts'].decode()},
        }


class Scene(NamedTuple):
    """An image ``[SIDE, SIDE, 3]`` uint8 BGR and what is in it."""

    image: np.ndarray
    instances: list[Instance]

    def label_map(self) -> np.ndarray:
        """Class of each pixel, ``[SIDE, SIDE]`` uint8: 0, or digit + 1."""
        labels = np.zeros(self.image.shape[:2], np.uint8)
        for instance in self.instances:
            labels[instance.mask] = instance.digit + 1
        return labels


def make_scene(
    images: np.ndarray,
    labels: np.ndarray,
    pool: np.ndarray,
    photos: list[np.ndarray],
    rng: Generator,
) -> Scene:
    """Digits of a pool at varied place, size and contrast on a photograph.

    The pool holds the rows of ``images`` that may be used.
    """
    photo = photos[int(rng.integers(len(photos)))]
    canvas = background(photo, SIDE, rng, (1.0, 2.5), CONTRAST)
    for _ in range(int(rng.integers(SCRIBBLES + 1))):
        scribble(canvas, rng)
    # Drawn in turn, so later digits cover earlier ones.
    rows: list[int] = []
    masks: list[np.ndarray] = []
    for _ in range(int(rng.integers(COUNT[0], COUNT[1] + 1))):
        row = int(rng.choice(pool))
        alpha = stamp(images[row], int(rng.integers(*DIGIT)), rng)
        place = _free_place(alpha, masks, rng)
        if place is None:
            continue
        mask = np.zeros((SIDE, SIDE), bool)
        _window(mask, alpha, place)[:] = alpha > MASK_LEVEL
        draw(canvas, alpha, *place, rng)
        masks = [earlier & ~mask for earlier in masks] + [mask]
        rows.append(row)
    instances = [
        Instance(row, int(labels[row]), mask)
        for row, mask in zip(rows, masks, strict=True)
    ]
    noise = rng.normal(0, 4, canvas.shape)
    image = np.clip(canvas + noise, 0, 255).astype(np.uint8)
    return Scene(cv2.GaussianBlur(image, (0, 0), 0.5), instances)


def _free_place(
    alpha: np.ndarray, masks: list[np.ndarray], rng: Generator
) -> tuple[int, int] | None:
    """Top and left that leave enough of every earlier digit to be seen."""
    for _ in range(20):
        place = (
            int(rng.integers(SIDE - alpha.shape[0] + 1)),
            int(rng.integers(SIDE - alpha.shape[1] + 1)),
        )
        covered = (
            _window(mask, alpha, place).sum() / max(mask.sum(), 1)
            for mask in masks
        )
        if all(share <= LARGEST_COVER for share in covered):
            return place
    return None


def _window(
    array: np.ndarray, alpha: np.ndarray, place: tuple[int, int]
) -> np.ndarray:
    top, left = place
    return array[top : top + alpha.shape[0], left : left + alpha.shape[1]]
