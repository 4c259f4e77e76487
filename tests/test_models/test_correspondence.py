"""Points of two views show the same places, through the real transforms."""

import numpy as np
import pytest
import torch
from torch.nn.functional import adaptive_avg_pool2d, grid_sample

from sce_mm.datasets import SCEViews
from sce_mm.models.utils.correspondence import (
    Lattice,
    hat,
    lattice,
    sample,
    shared_lattices,
)
from sce_mm.models.utils.view_preprocessor import make_views

VIEWS = [
    dict(augmentation='weak', size=64, scale=(0.2, 0.6)),
    dict(augmentation='weak', size=48, scale=(0.3, 1.0)),
]


def views_of_coordinates(seed, deferred):
    """Two views of an image whose pixels hold their places, and boxes."""
    height, width = 150, 220
    y, x = np.mgrid[:height, :width]
    image = np.stack([y, x, 0 * x], axis=2).astype(np.uint8)
    np.random.seed(seed)
    results = SCEViews(VIEWS, deferred)({'img': image})
    if deferred:
        pixels, params = results['img']
        tensor = torch.from_numpy(pixels).permute(2, 0, 1)
        views = make_views([tensor], [params])
    else:
        views = [
            torch.from_numpy(view).permute(2, 0, 1)[None].float()
            for view in results['img']
        ]
    boxes = torch.from_numpy(results['view_boxes']).float()[None]
    return views, boxes


@pytest.mark.parametrize('deferred', [False, True], ids=['workers', 'device'])
def test_both_views_show_the_places_that_are_asked_for(deferred):
    flips, count = set(), 0
    for seed in range(20):
        views, boxes = views_of_coordinates(seed, deferred)
        one, other = boxes[:, 0], boxes[:, 1]
        flips.add((float(one[0, 4]), float(other[0, 4])))
        *points, shared = shared_lattices(one, other, 5, 0.1)
        if not shared.item():
            continue
        count += 1
        seen, inner = [], torch.ones(25, dtype=torch.bool)
        for view, at, cells in zip(views, points, (16, 12), strict=True):
            # A feature map whose cells hold the place of their centre.
            features = adaptive_avg_pool2d(view, cells)[:, :2]
            seen.append(sample(features, at)[0])
            # Beyond the centres of the outer cells a map is constant.
            edge = 0.5 / cells
            rows, columns = (((edge <= x[0]) & (x[0] <= 1 - edge)) for x in at)
            inner &= (rows[:, None] & columns).flatten()
        # And the places, in closed form.
        top, left = torch.maximum(one[0, :2], other[0, :2])
        ends = [box[0, :2] + box[0, 2:4] for box in (one, other)]
        bottom, right = torch.minimum(*ends)
        steps = (torch.arange(5) + 0.5) / 5
        expected = torch.cartesian_prod(
            top + steps * (bottom - top), left + steps * (right - left)
        )
        assert inner.sum() >= 4
        for places in seen:
            # Pixel i holds i at its centre, i + 0.5; levels are rounded.
            error = (places + 0.5 - expected)[inner].abs().max()
            assert error < 1.0, (seed, error)
    assert count >= 10
    assert len(flips) == 4, 'no pair of flips was left out'


def test_crops_apart_keep_to_their_own():
    boxes = torch.tensor([[0.0, 0, 10, 10, 0], [0.0, 0, 10, 10, 1]])
    others = torch.tensor([[0.0, 9, 10, 10, 0], [30.0, 0, 10, 10, 0]])
    one, other, shared = shared_lattices(boxes, others, 2, 0.2)
    # The first pair shares a tenth, the second one nothing.
    assert shared.tolist() == [0, 0]
    torch.testing.assert_close(
        one.columns, torch.tensor([[0.25, 0.75], [0.75, 0.25]])
    )
    torch.testing.assert_close(other.rows, torch.tensor([[0.25, 0.75]] * 2))
    assert shared_lattices(boxes, others, 2, 0.1)[2].tolist() == [1, 0]


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64], ids=str)
def test_sampling_is_that_of_grid_sample(dtype):
    torch.manual_seed(0)
    features = torch.randn(3, 4, 5, 7, dtype=dtype, requires_grad=True)
    points = Lattice(*torch.rand(2, 3, 6, dtype=dtype))
    y, x = (
        2 * p - 1
        for p in (
            points.rows[:, :, None].expand(3, 6, 6),
            points.columns[:, None, :].expand(3, 6, 6),
        )
    )
    expected = grid_sample(
        features,
        torch.stack([x, y], dim=-1),
        padding_mode='border',
        align_corners=False,
    )
    got = sample(features, points)
    torch.testing.assert_close(got, expected.flatten(2).transpose(1, 2))
    gradients = [
        torch.autograd.grad((out * out).sum(), features)[0]
        for out in (got, expected)
    ]
    torch.testing.assert_close(*gradients)


def test_half_precision_loses_no_digits_of_the_places():
    torch.manual_seed(0)
    features = torch.randn(2, 4, 8, 8)
    points = Lattice(*torch.rand(2, 2, 4))
    with torch.autocast('cpu', torch.bfloat16):
        got = sample(features, points)
        half = sample(features.bfloat16(), points)
    assert torch.equal(got, sample(features, points))
    assert half.dtype is torch.float32


def test_weights_of_a_point_add_up_to_one():
    weights = hat(torch.linspace(-3, 9, 50)[None], cells=6)
    torch.testing.assert_close(weights.sum(dim=2), torch.ones(1, 50))


def test_a_lattice_over_the_own_crop_is_the_same_everywhere():
    box = torch.tensor([[3.0, 5, 20, 40, 0]])
    rows, columns = lattice(box[:, :4], box, 4)
    expected = torch.tensor([[0.125, 0.375, 0.625, 0.875]])
    torch.testing.assert_close(rows, expected)
    torch.testing.assert_close(columns, expected)
