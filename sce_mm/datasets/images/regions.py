"""Cut a region out of a scene, for images that show many things.

Two crops of a photograph of twenty cells show different cells, so a pair of
views of the whole says little. Here a sample is a region of an image, about
as large as one of the things in it, and all its views come from there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Sized
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.dataset import ConcatDataset, RepeatDataset
from mmpretrain.registry import TRANSFORMS

from ...utils.checks import LEAST_SIDE
from ...utils.errors import UserError
from ..samplers import SampleIndex

# Generators of the grids of an image; those of its views count up from 0.
_GRID_STREAM = 1 << 33
# Grids of different sizes that are gone through one by one.
_GRIDS = 64


@TRANSFORMS.register_module()
class CutRegion(BaseTransform):
    """Replace ``results['img']`` [h, w, c] by a square region of it.

    With :class:`SeededSampler` the regions of an epoch are a function of
    (seed, epoch, image, repetition), see :func:`region_box`: those of one
    image do not overlap as long as they all fit into it. A ``RepeatDataset``
    around the data set says how many regions an image gives in an epoch, and
    spreads them over the epoch. With any other sampler each region is drawn
    by itself, from NumPy's global generator.

    Args:
        size: Side of the regions, pixels of the image; or a range
            (low, high), from which each grid of regions takes one side,
            uniform in its logarithm. Of an image that is smaller, the region
            is as much as there is.

    Raises:
        UserError: ``size`` is no side of at least 8 pixels, and no range.

    Example:
        >>> image = np.zeros((480, 640, 3), np.uint8)
        >>> CutRegion(size=128)({'img': image})['img'].shape
        (128, 128, 3)
    """

    def __init__(self, size: int | Sequence[int]) -> None:
        sides = (size, size) if isinstance(size, int) else tuple(size)
        if len(sides) != 2 or not LEAST_SIDE <= sides[0] <= sides[1]:
            raise UserError(
                'size must be the side of a region in pixels, at least '
                f'{LEAST_SIDE}, or a range (low, high), got {size!r}'
            )
        self.sides: tuple[int, int] = (int(sides[0]), int(sides[1]))

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Cut the region of this sample out."""
        image = results['img']
        height, width = image.shape[:2]
        index = results.get('sample_idx')
        if isinstance(index, SampleIndex):
            # The index of the image, whichever of its regions this is.
            image_index = SampleIndex(index.image, index.epoch, index.seed)
            box = region_box(
                height,
                width,
                self.sides,
                index.repetition,
                lambda grid: image_index.rng(_GRID_STREAM + grid),
            )
        else:
            draw = np.random.default_rng(np.random.randint(1 << 31))
            box = region_box(height, width, self.sides, 0, lambda _: draw)
        top, left, h, w = box
        region = np.ascontiguousarray(image[top : top + h, left : left + w])
        return {**results, 'img': region, 'img_shape': (h, w), 'region': box}

    def __repr__(self) -> str:
        return f'{type(self).__name__}(size={self.sides})'


def region_box(
    height: int,
    width: int,
    sides: tuple[int, int],
    number: int,
    generator_of: Callable[[int], np.random.Generator],
) -> tuple[int, int, int, int]:
    """Region ``number`` of an image: top, left, height, width in pixels.

    A grid of squares without gaps is laid into the image, at a place drawn
    at random, and its squares are taken in random order: they cannot overlap.
    When all are taken the next grid follows, at another place and of another
    size. Of a range of sides, grids from the 65th on give only as many regions
    as one of the largest side has: the cost does not grow with ``number``.

    Args:
        height: Height of the image, pixels.
        width: Width of the image, pixels.
        sides: Smallest and largest side of a region.
        number: Counts the regions of the image from 0.
        generator_of: Gives the random generator of each grid.
    """
    h, w = min(sides[1], height), min(sides[1], width)
    fewest = (height // h) * (width // w)
    grid = 0
    while True:
        if grid == (_GRIDS if sides[0] < sides[1] else 0):
            further, number = divmod(number, fewest)
            grid += further
        rng = generator_of(grid)
        u = rng.random(3)
        side = round(sides[0] * (sides[1] / sides[0]) ** float(u[0]))
        h, w = min(side, height), min(side, width)
        rows, columns = height // h, width // w
        if number < rows * columns:
            break
        number -= rows * columns
        grid += 1
    row, column = divmod(int(rng.permutation(rows * columns)[number]), columns)
    top = int(u[1] * (height - rows * h + 1)) + row * h
    left = int(u[2] * (width - columns * w + 1)) + column * w
    return top, left, h, w


def regions_of(height: int, width: int, sides: tuple[int, int]) -> int:
    """How many regions of the middle size fit into an image, at least 1."""
    side = round((sides[0] * sides[1]) ** 0.5)
    return max(1, height // side) * max(1, width // side)


def count_distinct(dataset: Sized, times: int = 1) -> int:
    """Different samples of an epoch: regions where they are cut, else images.

    Regions of an image count as different ones also where there are more of
    them than fit into it without overlap.

    Args:
        dataset: A data set, or several in a ``ConcatDataset``.
        times: How often an epoch goes through it.
    """
    while isinstance(dataset, RepeatDataset):
        times *= dataset.times
        dataset = dataset.dataset
    if isinstance(dataset, ConcatDataset):
        return sum(count_distinct(part, times) for part in dataset.datasets)
    pipeline = getattr(dataset, 'pipeline', None)
    transforms = getattr(pipeline, 'transforms', [])
    cut = any(isinstance(transform, CutRegion) for transform in transforms)
    return len(dataset) * (times if cut else 1)
