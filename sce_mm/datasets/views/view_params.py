"""Draw the random numbers of a view (crop box, blur sigma, ...); apply them.

Drawing and applying are separate, so that one view is a pure function of the
image and of a few numbers: it can be replayed, tested and shown.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from . import image_ops
from .augmentations import Augmentation
from .image_ops import Image

# torchvision's RandomResizedCrop gives up after this many tries.
_CROP_TRIES = 10
_ORDERS = tuple(itertools.permutations(image_ops.JITTER))
# Every view takes the same count of numbers, in the same places, whatever
# happens: changing one probability leaves all other draws as they were.
_CROP_DRAWS = 2 * _CROP_TRIES + 2
# Whether, in which order, and how strong each of the four is.
_JITTER_DRAWS = 2 + len(image_ops.JITTER)
# Grey, blur and its sigma, solarise, flip.
_OTHER_DRAWS = 5
_DRAWS = _CROP_DRAWS + _JITTER_DRAWS + _OTHER_DRAWS


@dataclass(frozen=True)
class ViewParams:
    """All random parameters of one view.

    Attributes:
        crop: Top, left, height and width of the crop, pixels.
        jitter: (operation, factor) in the order of application.
        grey: Whether all colour is lost.
        blur_sigma: Standard deviation, pixels; None for no blur.
        solarise_threshold: None for no solarisation.
        flip: Whether the view is mirrored.
    """

    crop: tuple[int, int, int, int]
    jitter: tuple[tuple[str, float], ...]
    grey: bool
    blur_sigma: float | None
    solarise_threshold: int | None
    flip: bool

    @property
    def steps(self) -> list[tuple[str, float | None]]:
        """Operations after the crop, each with its value, in their order.

        As many for every view: one that is left out has the value None. Those
        that have no strength have 0.
        """
        return [
            *self.jitter,
            *(len(image_ops.JITTER) - len(self.jitter)) * [('nothing', None)],
            ('grey', 0.0 if self.grey else None),
            ('blur', self.blur_sigma),
            ('solarise', self.solarise_threshold),
            ('flip', 0.0 if self.flip else None),
        ]


def draw_params(
    augmentation: Augmentation, height: int, width: int, rng: Any
) -> ViewParams:
    """Draw one view of an image of ``height`` x ``width`` pixels.

    ``rng`` is a NumPy generator, or the module ``numpy.random`` itself.
    """
    aug = augmentation
    draws: list[float] = rng.random(_DRAWS).tolist()
    jitter, order, *strengths, hue = draws[_CROP_DRAWS:-_OTHER_DRAWS]
    grey, blur, sigma, solarise, flip = draws[-_OTHER_DRAWS:]
    factors: dict[str, float] = {}
    if jitter < aug.jitter_prob:
        scaled = ('brightness', 'contrast', 'saturation')
        for name, draw in zip(scaled, strengths, strict=True):
            strength = getattr(aug, name)
            low = max(0.0, 1.0 - strength)
            factors[name] = _between(low, 1.0 + strength, draw)
        factors['hue'] = _between(-aug.hue, aug.hue, hue)
    names = _ORDERS[int(order * len(_ORDERS))] if factors else ()
    tries = draws[:_CROP_DRAWS]
    return ViewParams(
        crop=crop_box(height, width, aug.scale, aug.ratio, tries),
        # As in torchvision, an operation of strength 0 is left out.
        jitter=tuple((n, factors[n]) for n in names if getattr(aug, n)),
        grey=grey < aug.grey_prob,
        blur_sigma=(
            _between(*aug.blur_sigma, sigma) if blur < aug.blur_prob else None
        ),
        solarise_threshold=(
            aug.solarise_threshold if solarise < aug.solarise_prob else None
        ),
        flip=flip < aug.flip_prob,
    )


def crop_box(
    height: int,
    width: int,
    scale: tuple[float, float],
    ratio: tuple[float, float],
    draws: Sequence[float],
) -> tuple[int, int, int, int]:
    """Box of torchvision's RandomResizedCrop: top, left, height, width.

    Area uniform in ``scale`` of the image, log of the aspect ratio uniform
    in log ``ratio``; the first of ten tries that fits is placed uniformly.
    If none fits, the largest central crop whose ratio is in range. ``draws``
    holds 22 numbers in [0, 1): ten pairs for the tries, one position.
    """
    low, high = math.log(ratio[0]), math.log(ratio[1])
    for attempt in range(_CROP_TRIES):
        area = height * width * _between(*scale, draws[2 * attempt])
        aspect = math.exp(_between(low, high, draws[2 * attempt + 1]))
        w = round(math.sqrt(area * aspect))
        h = round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            top = int(draws[-2] * (height - h + 1))
            left = int(draws[-1] * (width - w + 1))
            return top, left, h, w
    h, w = height, width
    if width / height < ratio[0]:
        h = round(width / ratio[0])
    elif width / height > ratio[1]:
        w = round(height * ratio[1])
    # A strip of one pixel would otherwise round to nothing.
    h, w = max(h, 1), max(w, 1)
    return (height - h) // 2, (width - w) // 2, h, w


def apply_params(image: Image, params: ViewParams, size: int) -> Image:
    """Make the view [size, size, 3] of ``image`` [h, w, 3] uint8 BGR."""
    view = image_ops.resized_crop(image, *params.crop, size)
    for name, value in params.steps:
        if value is not None:
            view = image_ops.OPERATIONS[name](view, value)
    return view


def _between(low: float, high: float, draw: float) -> float:
    return low + (high - low) * draw
