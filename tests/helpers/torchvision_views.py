"""The operations of a view, ours beside torchvision's."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import functional

from sce_mm.datasets import ViewParams
from sce_mm.datasets.views import image_ops

Array = np.ndarray[Any, Any]
# Largest deviation in levels of 255. Half a level is rounding, the saturation
# takes a rounded L beside; torchvision's weight of red ends a digit earlier.
# One of the crop and of the blur is their integer weights. For the hue see
# image_ops.
BOUNDS = {
    'crop': 1,
    'brightness': 0.51,
    'contrast': 0.55,
    'saturation': 0.8,
    'hue': 12,
    'grey': 0.6,
    'blur': 1,
    'solarise': 0,
    'flip': 0,
}


def pil(view: Array) -> Image.Image:
    """PIL image of BGR."""
    return Image.fromarray(np.ascontiguousarray(view[..., ::-1]))


def on_tensor(operation: Callable[..., torch.Tensor], *args: Any) -> Any:
    """A torchvision operation that is exact on float tensors."""

    def call(view: Array) -> Array:
        image = functional.pil_to_tensor(pil(view)).double() / 255
        return (255 * operation(image, *args)).permute(1, 2, 0).numpy()

    return call


def on_pil(operation: Callable[..., Any], *args: Any) -> Any:
    """A torchvision operation on PIL images."""
    return lambda view: np.asarray(operation(pil(view), *args), np.float64)


def pil_hue(view: Array, params: ViewParams) -> Array:
    """Torchvision's hue on a PIL image, RGB."""
    factor = dict(params.jitter)['hue']
    return np.asarray(functional.adjust_hue(pil(view), factor), np.float64)


def stages(params: ViewParams, size: int) -> list[tuple[str, Any, Any]]:
    """Name, our operation and torchvision's, in the order of the paper."""
    found: list[tuple[str, Any, Any]] = [
        (
            'crop',
            lambda v: image_ops.resized_crop(v, *params.crop, size),
            on_pil(functional.resized_crop, *params.crop, [size, size]),
        )
    ]
    for name, factor in params.jitter:
        theirs = on_tensor(getattr(functional, f'adjust_{name}'), factor)
        ours = partial(image_ops.JITTER[name], factor=factor)
        found.append((name, ours, theirs))
    if params.grey:
        theirs = on_tensor(functional.rgb_to_grayscale, 3)
        found.append(('grey', image_ops.to_grey, theirs))
    if params.blur_sigma is not None:
        sigma = params.blur_sigma
        theirs = on_tensor(functional.gaussian_blur, [23, 23], [sigma, sigma])
        ours = partial(image_ops.gaussian_blur, sigma=sigma)
        found.append(('blur', ours, theirs))
    if params.solarise_threshold is not None:
        theirs = on_pil(functional.solarize, 128)
        found.append(('solarise', image_ops.solarise, theirs))
    if params.flip:
        theirs = on_pil(functional.hflip)
        found.append(('flip', image_ops.horizontal_flip, theirs))
    return found
