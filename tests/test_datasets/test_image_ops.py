"""Each operation against torchvision on photographs, same parameters."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_sample_images
from torchvision.transforms import functional

from sce_mm.datasets.views import image_ops

PHOTOS = load_sample_images().images
Array = NDArray[np.uint8]


def bgr(rgb: Array) -> Array:
    return np.ascontiguousarray(rgb[..., ::-1])


def deviation(ours: Array, theirs: object) -> tuple[float, float]:
    """Largest and mean absolute difference to an RGB image."""
    difference = np.abs(ours[..., ::-1].astype(int) - np.asarray(theirs))
    return float(difference.max()), float(difference.mean())


def tensor(rgb: Array) -> torch.Tensor:
    return torch.from_numpy(rgb.copy()).permute(2, 0, 1)


@pytest.fixture(params=[0, 1], ids=['temple', 'flower'])
def photo(request: pytest.FixtureRequest) -> Array:
    return np.array(PHOTOS[request.param])


@pytest.mark.parametrize(
    ('box', 'size'),
    [
        ((10, 20, 200, 220), 224),
        ((0, 0, 427, 640), 224),
        ((100, 300, 50, 60), 224),
        ((31, 7, 390, 401), 96),
        ((400, 600, 3, 1), 32),
    ],
)
def test_resized_crop(
    photo: Array, box: tuple[int, int, int, int], size: int
) -> None:
    ours = image_ops.resized_crop(bgr(photo), *box, size)
    theirs = functional.resized_crop(
        Image.fromarray(photo), *box, [size, size], antialias=True
    )
    largest, mean = deviation(ours, theirs)
    assert ours.shape == (size, size, 3)
    assert largest <= 1
    assert mean < 0.2


@pytest.mark.parametrize('factor', [0.0, 0.6, 0.83, 1.0, 1.17, 1.4])
@pytest.mark.parametrize('name', ['brightness', 'contrast', 'saturation'])
def test_jitter_blends(photo: Array, name: str, factor: float) -> None:
    ours = image_ops.JITTER[name](bgr(photo), factor)
    adjust = getattr(functional, f'adjust_{name}')
    assert deviation(ours, adjust(Image.fromarray(photo), factor))[0] <= 1
    exact = 255 * adjust(tensor(photo).double() / 255, factor)
    difference = ours[..., ::-1] - exact.permute(1, 2, 0).numpy()
    assert np.abs(difference).max() < 0.8
    assert (ours == bgr(photo)).all() or factor != 1


@pytest.mark.parametrize('factor', [-0.1, -0.034, 0.0, 0.05, 0.1, 0.5])
def test_hue_lies_as_near_to_the_exact_result_as_pil(
    photo: Array, factor: float
) -> None:
    ours = image_ops.adjust_hue(bgr(photo), factor)
    pil = functional.adjust_hue(Image.fromarray(photo), factor)
    exact = (
        functional.adjust_hue(tensor(photo), factor).permute(1, 2, 0).numpy()
    )
    largest, mean = deviation(ours, pil)
    assert largest <= 15
    assert mean < 1.5
    of_pil = np.abs(np.asarray(pil).astype(int) - exact).mean()
    assert deviation(ours, exact)[1] < of_pil + 0.1


@pytest.mark.parametrize('factor', [0.0, 0.0019, -0.0019, 1.0])
def test_a_hue_that_rounds_to_no_shift_changes_nothing(
    photo: Array, factor: float
) -> None:
    image = bgr(photo)
    assert (image_ops.adjust_hue(image, factor) == image).all()


@pytest.mark.parametrize('sigma', [0.1, 0.37, 1.0, 1.6, 2.0])
def test_blur_is_the_23_tap_gaussian(photo: Array, sigma: float) -> None:
    ours = image_ops.gaussian_blur(bgr(photo), sigma)
    theirs = functional.gaussian_blur(tensor(photo), [23, 23], [sigma, sigma])
    largest, mean = deviation(ours, theirs.permute(1, 2, 0).numpy())
    assert largest <= 1
    assert mean < 0.01


@pytest.mark.parametrize('sigma', [0.5, 2.0])
def test_blur_reflects_the_border_of_a_view_smaller_than_its_kernel(
    sigma: float,
) -> None:
    small = np.arange(6 * 6 * 3, dtype=np.uint8).reshape(6, 6, 3)
    flat = np.full((6, 6, 3), 77, np.uint8)
    assert image_ops.gaussian_blur(small, sigma).shape == (6, 6, 3)
    assert (image_ops.gaussian_blur(flat, sigma) == 77).all()


def test_grey_solarise_and_flip(photo: Array) -> None:
    image, pil = bgr(photo), Image.fromarray(photo)
    grey = image_ops.to_grey(image)
    assert deviation(grey, functional.to_grayscale(pil, 3))[0] <= 1
    assert (grey == grey[..., :1]).all()
    for threshold in (0, 1, 128, 255, 256):
        ours = image_ops.solarise(image, threshold)
        assert deviation(ours, functional.solarize(pil, threshold))[0] == 0
    flipped = image_ops.horizontal_flip(image)
    assert deviation(flipped, functional.hflip(pil))[0] == 0


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
def test_nothing_is_written_into_the_argument(photo: Array, name: str) -> None:
    image = bgr(photo[:30, :30])
    image.flags.writeable = False
    before = image.copy()
    result = CALLS[name](image)
    assert result.flags.c_contiguous
    assert result.dtype == np.uint8
    assert not np.shares_memory(result, image)
    assert (image == before).all()
