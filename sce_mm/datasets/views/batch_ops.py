"""Crop, colour jitter, grey, blur, solarise, flip of batches (torch).

The operations of the views on the model's device. Every function takes
``views`` [N, 3, h, w], BGR, float32 levels from 0 to 255, and one value a
view [N]; it returns such a tensor and leaves its arguments alone.

Nothing is rounded: the results are those of torchvision's float tensors
to 0.03 levels, and ``image_ops``, which rounds to 8 bits, agrees to one level
an operation. Its hue, made in 8-bit HSV, is up to 12 levels away. Nothing
makes the host wait for the device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv2d, interpolate

from .image_ops import MAX_BLUR_RADIUS

# Weights of L for B, G and R.
_LUMA = (0.114, 0.587, 0.299)
# A blur of this deviation changes nothing; zero would divide by zero.
_SMALLEST_SIGMA = 1e-3


def resized_crops(
    images: Sequence[Tensor] | Tensor,
    boxes: Sequence[Sequence[int]],
    size: int,
) -> Tensor:
    """Cut a box out of each image and resize it, bilinear with antialiasing.

    Args:
        images: N images [3, h, w] uint8 of any heights and widths.
        boxes: Top, left, height and width of each, on the host.
        size: Height and width of the views.

    Returns:
        ``[N, 3, size, size]`` float32.
    """
    crops = []
    for image, (top, left, height, width) in zip(images, boxes, strict=True):
        # Integers are resized on CPUs only.
        crop = image[None, :, top : top + height, left : left + width].float()
        crops.append(
            interpolate(crop, (size, size), mode='bilinear', antialias=True)
        )
    return torch.cat(crops)


def adjust_brightness(views: Tensor, factors: Tensor) -> Tensor:
    """``factor * view``, clipped."""
    return (_wide(factors) * views).clamp(0, 255)


def adjust_contrast(views: Tensor, factors: Tensor) -> Tensor:
    """``factor * view + (1 - factor) * m``, clipped, m the mean of L."""
    mean = _luma(views).mean(dim=(1, 2, 3), keepdim=True)
    return _blend(views, mean, factors)


def adjust_saturation(views: Tensor, factors: Tensor) -> Tensor:
    """``factor * view + (1 - factor) * L``, clipped."""
    return _blend(views, _luma(views), factors)


def adjust_hue(views: Tensor, factors: Tensor) -> Tensor:
    """Turn the hue by ``factor`` turns.

    Value v and chroma c of HSV stay. With the hue h in sixths of a turn, a
    channel is v - c clip(min(k, 4 - k), 0, 1), k = (n + h) mod 6, n = 5, 3, 1
    for R, G, B.
    """
    blue, green, red = views.unbind(dim=1)
    value = views.amax(dim=1)
    chroma = value - views.amin(dim=1)
    # Grey pixels have no hue, and keep their level with any.
    divisor = torch.where(chroma > 0, chroma, 1.0)
    hue = torch.where(
        value == red,
        (green - blue) / divisor,
        torch.where(
            value == green,
            2 + (blue - red) / divisor,
            4 + (red - green) / divisor,
        ),
    )
    hue = hue + 6 * factors.view(-1, 1, 1)
    channels = []
    for offset in (1, 3, 5):
        place = (hue + offset).remainder(6)
        share = torch.minimum(place, 4 - place).clamp(0, 1)
        channels.append(value - chroma * share)
    return torch.stack(channels, dim=1)


def to_grey(views: Tensor, _: Tensor) -> Tensor:
    """L = 0.299 R + 0.587 G + 0.114 B in all three channels."""
    return _luma(views).expand_as(views)


def gaussian_blur(views: Tensor, sigmas: Tensor) -> Tensor:
    """Blur with 23 x 23 taps, the border reflected without its edge."""
    reach = MAX_BLUR_RADIUS
    taps = torch.arange(-reach, reach + 1.0, device=views.device)
    scaled = taps / sigmas.clamp_min(_SMALLEST_SIGMA).view(-1, 1)
    kernels = (-0.5 * scaled.square()).exp()
    kernels = kernels / kernels.sum(dim=1, keepdim=True)
    # A channel of a view is a group with a kernel of its own.
    weights = kernels.repeat_interleave(3, dim=0)[:, None, None]
    groups = len(weights)
    rows = _reflected(views, dim=3).flatten(0, 1)[None]
    columns = _reflected(conv2d(rows, weights, groups=groups), dim=2)
    blurred = conv2d(columns, weights.transpose(2, 3), groups=groups)
    return blurred.view_as(views)


def solarise(views: Tensor, thresholds: Tensor) -> Tensor:
    """Invert the pixels that round to the threshold or above it."""
    return torch.where(views < _wide(thresholds) - 0.5, views, 255 - views)


def horizontal_flip(views: Tensor, _: Tensor) -> Tensor:
    """Mirror left and right."""
    return views.flip(dims=(3,))


OPERATIONS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    'brightness': adjust_brightness,
    'contrast': adjust_contrast,
    'saturation': adjust_saturation,
    'hue': adjust_hue,
    'grey': to_grey,
    'blur': gaussian_blur,
    'solarise': solarise,
    'flip': horizontal_flip,
}


def _wide(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)


def _luma(views: Tensor) -> Tensor:
    blue, green, red = views.split(1, dim=1)
    return _LUMA[0] * blue + _LUMA[1] * green + _LUMA[2] * red


def _blend(views: Tensor, others: Tensor, factors: Tensor) -> Tensor:
    factors = _wide(factors)
    return (factors * views + (1 - factors) * others).clamp(0, 255)


def _reflected(views: Tensor, dim: int) -> Tensor:
    """Lengthen a side by the radius of the blur at both ends.

    ``torch.nn.functional.pad`` reflects once, which is not enough for views
    that are smaller than the radius.
    """
    side = np.arange(views.shape[dim])
    places = np.pad(side, MAX_BLUR_RADIUS, mode='reflect')
    index = torch.from_numpy(places).to(views.device, non_blocking=True)
    return views.index_select(dim, index)
