"""Whole views of photographs against torchvision: the same, or alike.

With the same parameters each operation must give torchvision's pixels, up to
a bound that has a reason. With parameters drawn by each side, the views must
have the same statistics.
"""

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from image_files import photographs
from PIL import Image, ImageFilter
from scipy.stats import ks_2samp
from torchvision import transforms
from torchvision.transforms import functional
from torchvision_views import BOUNDS, pil, pil_hue, stages

from sce_mm.datasets import (
    AUGMENTATIONS,
    Augmentation,
    ViewParams,
    apply_params,
    draw_params,
)
from sce_mm.datasets.views import batch_ops, image_ops

Array = np.ndarray[Any, Any]


@pytest.mark.parametrize('name', AUGMENTATIONS)
def test_the_same_parameters_give_the_same_pixels(name: str) -> None:
    rng = np.random.default_rng(5)
    worst = dict.fromkeys(BOUNDS, -1.0)
    hues: list[tuple[float, float]] = []
    for rgb in photographs().values():
        bgr = np.ascontiguousarray(rgb[..., ::-1])
        for size in (96, 96, 32, 32):
            params = draw_params(AUGMENTATIONS[name], *bgr.shape[:2], rng)
            view = bgr
            for stage, ours_of, theirs_of in stages(params, size):
                expected = np.clip(theirs_of(view), 0, 255)
                before, view = view, ours_of(view)
                difference = np.abs(view[..., ::-1] - expected)
                worst[stage] = max(worst[stage], difference.max())
                if stage == 'hue':
                    theirs = np.abs(pil_hue(before, params) - expected)
                    hues.append((difference.mean(), theirs.mean()))
            assert (apply_params(bgr, params, size) == view).all()
    for stage, deviation in worst.items():
        assert deviation <= BOUNDS[stage], f'{stage}: {deviation}'
    aug = AUGMENTATIONS[name]
    if hues:
        # On average PIL's hue is further from torchvision's floats.
        ours, pils = np.mean(hues, axis=0)
        assert ours < pils
    assert (worst['hue'] >= 0) == (aug.jitter_prob > 0)
    assert (worst['blur'] >= 0) == (aug.blur_prob > 0)
    assert (worst['solarise'] >= 0) == (aug.solarise_prob > 0)
    assert min(worst['crop'], worst['flip']) >= 0


def jittered(view: Array, params: ViewParams) -> tuple[Array, ...]:
    """RGB of single images, batches, and torchvision's floats and PIL."""
    cut = pil(view)
    batch = torch.from_numpy(view.transpose(2, 0, 1)[None].copy()).float()
    exact = batch[0].flip(0).double() / 255
    for name, factor in params.jitter:
        view = image_ops.JITTER[name](view, factor)
        batch = batch_ops.OPERATIONS[name](batch, torch.tensor([factor]))
        adjust = getattr(functional, f'adjust_{name}')
        exact, cut = adjust(exact, factor), adjust(cut, factor)
    return (
        view[..., ::-1].transpose(2, 0, 1).astype(np.float64),
        batch[0].flip(0).double().numpy(),
        255 * exact.numpy(),
        np.asarray(cut, np.float64).transpose(2, 0, 1),
    )


@pytest.mark.parametrize(('hue', 'cells'), [(0.0, 32), (0.1, 4)])
def test_a_jitter_makes_views_neither_darker_nor_brighter(
    hue: float, cells: int
) -> None:
    rng = np.random.default_rng(11)
    aug = replace(AUGMENTATIONS['strong'], jitter_prob=1.0, hue=hue)
    found = []
    for _ in range(150):
        coarse = rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
        view = cv2.resize(coarse, (32, 32))
        found.append(jittered(view, draw_params(aug, 32, 32, rng)))
    single, batch, exact, cut = map(np.stack, zip(*found, strict=True))
    # Weights of L that differ in the fourth digit.
    assert np.abs(batch - exact).max() < 0.05
    # 8-bit HSV loses a tenth of a level.
    assert abs((single - exact).mean()) < (0.15 if hue else 0.02)
    assert -1.6 < (cut - exact).mean() < -1.1
    # Three roundings, which the next operation may enlarge.
    assert hue or np.abs(single - batch).max() < 3


@pytest.mark.parametrize(
    ('size', 'low', 'high'), [(32, 0.6, 1.1), (224, 0.3, 0.5)]
)
def test_the_blur_of_pil_is_as_far_off_as_the_docs_say(
    size: int, low: float, high: float
) -> None:
    for sigma in (0.5, 1.0, 1.5, 2.0):
        far = []
        for rgb in photographs().values():
            view = image_ops.resized_crop(rgb, 0, 0, *rgb.shape[:2], size)
            blur = ImageFilter.GaussianBlur(sigma)
            theirs = np.asarray(Image.fromarray(view).filter(blur), np.float64)
            ours = image_ops.gaussian_blur(view, sigma)
            far.append(np.abs(ours - theirs).mean())
        assert low <= np.mean(far) <= high


def torchvision_pipeline(aug: Augmentation, size: int) -> Any:
    jitter = transforms.ColorJitter(
        aug.brightness, aug.contrast, aug.saturation, aug.hue
    )
    blur = transforms.GaussianBlur(23, aug.blur_sigma)
    return transforms.Compose(
        [
            transforms.RandomResizedCrop(size, aug.scale, aug.ratio),
            transforms.RandomApply([jitter], p=aug.jitter_prob),
            transforms.RandomGrayscale(p=aug.grey_prob),
            transforms.RandomApply([blur], p=aug.blur_prob),
            transforms.RandomSolarize(128, p=aug.solarise_prob),
            transforms.RandomHorizontalFlip(p=aug.flip_prob),
            np.asarray,
        ]
    )


VIEWS_PER_PHOTO, SIZE = 80, 48


def their_views(name: str) -> Array:
    torch.manual_seed(6)
    pipeline = torchvision_pipeline(AUGMENTATIONS[name], SIZE)
    return np.stack(
        [
            pipeline(Image.fromarray(rgb))
            for rgb in photographs().values()
            for _ in range(VIEWS_PER_PHOTO)
        ]
    )


def our_views(name: str) -> Array:
    rng, aug = np.random.default_rng(6), AUGMENTATIONS[name]
    views = [
        apply_params(bgr, draw_params(aug, *bgr.shape[:2], rng), SIZE)
        for bgr in (
            np.ascontiguousarray(rgb[..., ::-1])
            for rgb in photographs().values()
        )
        for _ in range(VIEWS_PER_PHOTO)
    ]
    return np.stack(views)[..., ::-1]


def statistics(views: Array) -> dict[str, Array]:
    """Of each view [n, h, w, 3]: what each operation would change."""
    levels = views.astype(np.float64)
    found = {'mean': levels.mean((1, 2, 3)), 'spread': levels.std((1, 2, 3))}
    found['colour'] = levels.std(axis=3).mean((1, 2))
    found['sharpness'] = np.abs(np.diff(levels, axis=2)).mean((1, 2, 3))
    left, right = np.split(levels.mean(3), 2, axis=2)
    found['lean'] = left.mean((1, 2)) - right.mean((1, 2))
    return found


@pytest.mark.parametrize('name', AUGMENTATIONS)
def test_drawn_views_have_the_statistics_of_torchvisions(name: str) -> None:
    ours, theirs = statistics(our_views(name)), statistics(their_views(name))
    for key in ours:
        same = ks_2samp(ours[key], theirs[key])
        assert same.pvalue > 1e-3, f'{key}: {same}'
