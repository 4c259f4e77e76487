"""The laws of the draws, against torchvision's own."""

import itertools
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import chisquare, ks_2samp
from torchvision import transforms

from sce_mm.datasets import (
    AUGMENTATIONS,
    ViewParams,
    apply_params,
    build_augmentation,
    draw_params,
)
from sce_mm.datasets.views.view_params import crop_box

DRAWS = 4000
# Two samples of one law fall below this once in a thousand tests; the seeds
# are fixed, so a failure means that the law has changed.
SAME_LAW = 1e-3


def draw(name: str, count: int = DRAWS, **overrides: Any) -> list[ViewParams]:
    rng = np.random.default_rng(0)
    augmentation = build_augmentation(name, **overrides)
    return [draw_params(augmentation, 375, 500, rng) for _ in range(count)]


@pytest.mark.parametrize(
    ('height', 'width', 'scale'),
    [
        (375, 500, (0.2, 1.0)),
        (500, 333, (0.086, 0.429)),
        (60, 300, (0.2, 1.0)),
        (32, 32, (0.2, 1.0)),
    ],
)
def test_crops_follow_random_resized_crop(
    height: int, width: int, scale: tuple[float, float]
) -> None:
    torch.manual_seed(1)
    image, ratio = torch.empty(3, height, width), (3 / 4, 4 / 3)
    theirs = np.array(
        [
            transforms.RandomResizedCrop.get_params(
                image, list(scale), list(ratio)
            )
            for _ in range(DRAWS)
        ]
    )
    uniforms = np.random.default_rng(1).random((DRAWS, 22))
    ours = np.array(
        [
            crop_box(height, width, scale, ratio, row.tolist())
            for row in uniforms
        ]
    )
    assert (ours >= [0, 0, 1, 1]).all()
    assert (ours[:, 0] + ours[:, 2] <= height).all()
    assert (ours[:, 1] + ours[:, 3] <= width).all()
    for column in range(4):
        same = ks_2samp(ours[:, column], theirs[:, column])
        assert same.pvalue > SAME_LAW, f'column {column}: {same}'
    area, log_ratio = (
        [f(box[:, 2], box[:, 3]) for box in (ours, theirs)]
        for f in (np.multiply, lambda h, w: np.log(w / h))
    )
    assert ks_2samp(*area).pvalue > SAME_LAW
    assert ks_2samp(*log_ratio).pvalue > SAME_LAW


@pytest.mark.parametrize(
    ('height', 'width', 'box'),
    [
        (100, 1000, (0, 433, 100, 133)),
        (1, 1000, (0, 499, 1, 1)),
        (1000, 1, (499, 0, 1, 1)),
    ],
)
def test_a_crop_that_never_fits_falls_back_to_the_centre(
    height: int, width: int, box: tuple[int, ...]
) -> None:
    draws = [0.99, 0.5] * 11
    assert crop_box(height, width, (0.2, 1.0), (3 / 4, 4 / 3), draws) == box


def test_jitter_follows_colour_jitter() -> None:
    torch.manual_seed(2)
    jitter = transforms.ColorJitter(0.4, 1.5, 0.2, 0.1)
    theirs = [
        transforms.ColorJitter.get_params(
            jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue
        )[1:]
        for _ in range(DRAWS)
    ]
    params = draw('strong_alpha', jitter_prob=1.0, contrast=1.5)
    names = ('brightness', 'contrast', 'saturation', 'hue')
    for name, column in zip(names, np.array(theirs).T, strict=True):
        ours = [dict(view.jitter)[name] for view in params]
        assert ks_2samp(ours, column).pvalue > SAME_LAW, name
    orders = Counter(tuple(n for n, _ in view.jitter) for view in params)
    assert set(orders) == set(itertools.permutations(names))
    assert chisquare(list(orders.values())).pvalue > SAME_LAW
    # An operation of strength zero is left out.
    params = draw('strong', 200, brightness=0.0, hue=0.0)
    kinds = {frozenset(dict(view.jitter)) for view in params}
    assert kinds == {frozenset(), frozenset({'contrast', 'saturation'})}


@pytest.mark.parametrize('name', AUGMENTATIONS)
def test_each_operation_comes_as_often_as_its_probability_says(
    name: str,
) -> None:
    augmentation, params = AUGMENTATIONS[name], draw(name)
    counted = {
        'jitter_prob': sum(bool(view.jitter) for view in params),
        'grey_prob': sum(view.grey for view in params),
        'blur_prob': sum(view.blur_sigma is not None for view in params),
        'solarise_prob': sum(
            view.solarise_threshold is not None for view in params
        ),
        'flip_prob': sum(view.flip for view in params),
    }
    for key, count in counted.items():
        prob = getattr(augmentation, key)
        spread = 4 * (DRAWS * prob * (1 - prob)) ** 0.5
        assert abs(count - DRAWS * prob) <= spread, key


def test_sigma_follows_gaussian_blur() -> None:
    sigmas = [view.blur_sigma for view in draw('strong_alpha')]
    torch.manual_seed(3)
    theirs = [
        transforms.GaussianBlur.get_params(0.1, 2.0) for _ in range(DRAWS)
    ]
    assert ks_2samp(sigmas, theirs).pvalue > SAME_LAW


def test_one_probability_does_not_shift_the_other_draws() -> None:
    plain, changed = draw('strong', 100), draw('strong', 100, blur_prob=0.0)
    assert [v.crop for v in plain] == [v.crop for v in changed]
    assert [v.jitter for v in plain] == [v.jitter for v in changed]
    assert [v.flip for v in plain] == [v.flip for v in changed]


def test_operations_run_in_the_order_of_the_paper() -> None:
    """Blur before solarise, and both after the jitter: orders matter."""
    image = np.full((8, 8, 3), 120, np.uint8)
    image[:, 4:] = 20
    brighter = (('brightness', 1.2),)
    params = ViewParams((0, 0, 8, 8), brighter, False, 1.0, 128, True)
    view = apply_params(image, params, 8)
    # Brightness lifts 120 to 144, solarise turns it to 111, flip moves it
    # right. Solarised before the brightness it would stay 144.
    assert view[0, -1, 0] == 111
    assert view[0, 0, 0] == 24
