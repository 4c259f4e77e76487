"""Edges of the operations; test_views_like_torchvision has their pixels."""

from collections.abc import Callable

import numpy as np
import pytest
from image_files import photographs
from numpy.typing import NDArray
from PIL import Image
from torchvision.transforms import functional

from sce_mm.datasets.views import image_ops

Array = NDArray[np.uint8]


@pytest.fixture
def image() -> Array:
    """A photograph, BGR."""
    return np.ascontiguousarray(photographs()['china'][..., ::-1])


def pil(image: Array) -> Image.Image:
    return Image.fromarray(image[..., ::-1])


@pytest.mark.parametrize(
    ('box', 'size'), [((0, 0, 427, 640), 224), ((400, 600, 3, 1), 32)]
)
def test_the_largest_and_the_smallest_crop(
    image: Array, box: tuple[int, int, int, int], size: int
) -> None:
    ours = image_ops.resized_crop(image, *box, size)
    theirs = functional.resized_crop(pil(image), *box, [size, size])
    far = np.abs(ours[..., ::-1].astype(int) - np.asarray(theirs))
    assert far.max() <= 1


def test_values_that_change_nothing(image: Array) -> None:
    for name in ('brightness', 'contrast', 'saturation'):
        assert (image_ops.JITTER[name](image, 1.0) == image).all()
    for factor in (0.0, 0.0019, -0.0019, 1.0):
        assert (image_ops.adjust_hue(image, factor) == image).all()


def test_blur_reflects_the_border_of_a_view_smaller_than_its_kernel() -> None:
    flat = np.full((6, 6, 3), 77, np.uint8)
    assert (image_ops.gaussian_blur(flat, 2.0) == 77).all()


@pytest.mark.parametrize('threshold', [0, 1, 255, 256])
def test_solarise_at_any_threshold(image: Array, threshold: int) -> None:
    ours = image_ops.solarise(image, threshold)[..., ::-1]
    theirs = functional.solarize(pil(image), threshold)
    assert (ours == np.asarray(theirs)).all()


CALLS: dict[str, Callable[[Array], Array]] = {
    'resized_crop': lambda x: image_ops.resized_crop(x, 0, 0, 30, 30, 30),
    'brightness': lambda x: image_ops.adjust_brightness(x, 1.2),
    'contrast': lambda x: image_ops.adjust_contrast(x, 0.7),
    'saturation': lambda x: image_ops.adjust_saturation(x, 1.3),
    'hue': lambda x: image_ops.adjust_hue(x, 0.1),
    'grey': image_ops.to_grey,
    'blur': lambda x: image_ops.gaussian_blur(x, 1.0),
    'solarise': image_ops.solarise,
    'flip': image_ops.horizontal_flip,
}


@pytest.mark.parametrize('name', CALLS)
def test_nothing_is_written_into_the_argument(image: Array, name: str) -> None:
    image = image[:30, :30]
    image.flags.writeable = False
    before = image.copy()
    result = CALLS[name](image)
    assert result.flags.c_contiguous
    assert not np.shares_memory(result, image)
    assert (image == before).all()
