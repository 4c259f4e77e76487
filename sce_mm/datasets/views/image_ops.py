"""Crop, colour jitter, grey, blur, solarise, flip of one image (NumPy).

The operations of the views in the workers. Every function takes ``image``
[h, w, 3] uint8 in BGR order and returns a new array, contiguous but for
``channels_apart``; none writes into its argument. Results are those of
torchvision's float tensors, rounded to the nearest level: PIL cuts the
fraction of a blend, which darkens a view by half a level an operation.

No operation deviates from torchvision's by more than one of 255 levels, but
for hue in 8-bit HSV: 12 at most, 0.3 on average.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate

Image = NDArray[np.uint8]

# The paper's GPU views use a 23 x 23 kernel for every crop size. A smaller
# sigma needs less of it, see gaussian_blur.
MAX_BLUR_RADIUS = 11


def resized_crop(
    image: Image, top: int, left: int, height: int, width: int, size: int
) -> Image:
    """Cut out ``[height, width]`` and resize it to ``[size, size]``.

    Bilinear with antialiasing, as PIL does it. torch's uint8 kernel follows
    PIL's to one level and is ten times as fast; ``cv2.INTER_AREA`` would be
    off by up to 46 levels, ``cv2.INTER_LINEAR`` aliases when it shrinks.
    """
    crop = image[top : top + height, left : left + width]
    if not crop.flags.writeable:  # torch warns, as it could be written to
        crop = crop.copy()
    tensor = torch.from_numpy(crop)[None].permute(0, 3, 1, 2)
    resized = interpolate(
        tensor, (size, size), mode='bilinear', antialias=True
    )
    view: Image = np.ascontiguousarray(resized[0].permute(1, 2, 0).numpy())
    return view


def adjust_brightness(image: Image, factor: float) -> Image:
    """``factor * image``, clipped."""
    # No level is below zero, so "Abs" changes nothing.
    return _image(cv2.convertScaleAbs(image, alpha=factor))


def adjust_contrast(image: Image, factor: float) -> Image:
    """``factor * image + (1 - factor) * m``, clipped, m the mean of L."""
    blue, green, red, _ = cv2.mean(image)
    mean = 0.114 * blue + 0.587 * green + 0.299 * red
    return _blend(image, image, factor, 0.0, (1 - factor) * mean)


def adjust_saturation(image: Image, factor: float) -> Image:
    """``factor * image + (1 - factor) * L``, clipped."""
    return _blend(image, to_grey(image), factor, 1 - factor, 0.0)


def adjust_hue(image: Image, factor: float) -> Image:
    """Turn the hue by ``factor`` turns in 8-bit HSV.

    PIL cuts the shift to whole 1/255 turns, here it is rounded to 1/256:
    closer to torchvision's float tensors (the paper's views) than PIL is.
    """
    # uint8 wraps around as the circle does.
    shift = np.uint8(round(256 * factor) % 256)
    if not shift:  # 8-bit HSV would move pixels by up to 8 levels
        return image.copy()
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV_FULL)
    # Whole rows are added to, with 0 for the other channels: every third byte
    # by itself would take several times as long.
    row = np.zeros(image.shape[1:], np.uint8)
    row[:, 0] = shift
    levels = hsv.reshape(len(hsv), -1)
    np.add(levels, row.ravel(), out=levels)
    return _image(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR_FULL))


def to_grey(image: Image) -> Image:
    """L = 0.299 R + 0.587 G + 0.114 B in all three channels."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    return _image(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR))


def gaussian_blur(image: Image, sigma: float) -> Image:
    """Blur with standard deviation ``sigma`` pixels, reflecting the border.

    Equals the 23 x 23 kernel of the paper's GPU views: taps further out than
    3.5 sigma move a pixel by less than 0.2 levels and are left out. PIL's
    blur (the paper's CPU views) approximates the same Gaussian by box
    filters and extends the border; docs/method.md says how far off it is.
    """
    radius = min(math.ceil(3.5 * sigma), MAX_BLUR_RADIUS)
    kernel = cv2.getGaussianKernel(2 * radius + 1, sigma)
    return _image(cv2.sepFilter2D(image, -1, kernel, kernel))


def solarise(image: Image, threshold: int = 128) -> Image:
    """Invert the pixels at or above ``threshold``."""
    # 0 or 1 becomes 0 or 255, whose bits invert a level.
    bits = np.greater_equal(image, threshold).view(np.uint8)
    np.negative(bits, out=bits)
    return np.bitwise_xor(image, bits, out=bits)


def horizontal_flip(image: Image) -> Image:
    """Mirror left and right."""
    return _image(cv2.flip(image, 1))


def channels_apart(image: Image) -> Image:
    """The same image; in memory one channel lies behind the other.

    As in tensors: what makes one of the result need not copy it.
    """
    planes = np.empty((3, *image.shape[:2]), np.uint8)
    cv2.split(image, [*planes])
    return planes.transpose(1, 2, 0)


JITTER: Mapping[str, Callable[[Image, float], Image]] = {
    'brightness': adjust_brightness,
    'contrast': adjust_contrast,
    'saturation': adjust_saturation,
    'hue': adjust_hue,
}
OPERATIONS: Mapping[str, Callable[[Image, Any], Image]] = {
    **JITTER,
    'grey': lambda image, _: to_grey(image),
    'blur': gaussian_blur,
    'solarise': solarise,
    'flip': lambda image, _: horizontal_flip(image),
}


def _blend(
    image: Image, other: Image, factor: float, weight: float, offset: float
) -> Image:
    """``factor * image + weight * other + offset``, clipped."""
    return _image(cv2.addWeighted(image, factor, other, weight, offset))


def _image(array: object) -> Image:
    """State the type that OpenCV's stubs leave open."""
    return cast(Image, array)
