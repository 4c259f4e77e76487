"""Views of batches against those of single images and torchvision's."""

from typing import Any

import numpy as np
import pytest
import torch
from image_files import photographs
from torchvision.transforms.functional import solarize
from torchvision_views import BOUNDS, stages

from sce_mm.datasets import AUGMENTATIONS, ViewParams, apply_params
from sce_mm.datasets.views.batch_ops import OPERATIONS, resized_crops
from sce_mm.datasets.views.batch_views import make_views, pack_params
from sce_mm.datasets.views.view_params import draw_params

Array = np.ndarray[Any, Any]
# Largest deviation from torchvision's float tensors, levels of 255; the crop
# is compared with PIL's, which rounds.
TO_TORCHVISION = {**dict.fromkeys(BOUNDS, 0.03), 'crop': 1}


def planes(view: Array) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(view.transpose(2, 0, 1)))


def pixels(views: torch.Tensor) -> Array:
    """[N, h, w, 3], BGR."""
    return views.permute(0, 2, 3, 1).numpy()


def bgr_photographs() -> list[Array]:
    return [np.ascontiguousarray(p[..., ::-1]) for p in photographs().values()]


def drawn(name: str, images: list[Array], seed: int) -> list[ViewParams]:
    rng = np.random.default_rng(seed)
    return [
        draw_params(AUGMENTATIONS[name], *image.shape[:2], rng)
        for image in images
    ]


def value_of(stage: str, params: ViewParams) -> float:
    if stage == 'blur':
        return params.blur_sigma or 0.0
    if stage == 'solarise':
        return params.solarise_threshold or 0.0
    return dict(params.jitter).get(stage, 0.0)


def batch_stage(
    stage: str, view: Array, params: ViewParams, size: int
) -> Array:
    if stage == 'crop':
        return pixels(resized_crops([planes(view)], [params.crop], size))[0]
    value = torch.tensor([value_of(stage, params)])
    return pixels(OPERATIONS[stage](planes(view)[None].float(), value))[0]


@pytest.mark.parametrize('name', AUGMENTATIONS)
def test_each_operation_is_that_of_single_images_and_torchvisions(
    name: str,
) -> None:
    single = dict.fromkeys(BOUNDS, -1.0)
    torchvision = dict.fromkeys(BOUNDS, -1.0)
    images = 2 * bgr_photographs()
    for view, params in zip(images, drawn(name, images, 7), strict=True):
        for stage, ours_of, theirs_of in stages(params, 64):
            ours = batch_stage(stage, view, params, 64)
            theirs = np.clip(theirs_of(view), 0, 255)
            view = ours_of(view)
            far = np.abs(ours - view)
            single[stage] = max(single[stage], far.max())
            far = np.abs(ours[..., ::-1] - theirs)
            torchvision[stage] = max(torchvision[stage], far.max())
    for stage in BOUNDS:
        assert single[stage] <= BOUNDS[stage], stage
        assert torchvision[stage] <= TO_TORCHVISION[stage], stage


@pytest.mark.parametrize('name', AUGMENTATIONS)
def test_whole_views_are_those_of_single_images(name: str) -> None:
    images = 4 * bgr_photographs()
    params, other = drawn(name, images, 8), drawn('weak', images, 9)
    rows = [
        pack_params(both, [48, 9]) for both in zip(params, other, strict=True)
    ]
    views, small = make_views([planes(image) for image in images], rows)
    assert views.dtype == torch.float32
    assert small.shape == (len(images), 3, 9, 9)
    plain, hue = [], []
    for image, view, one in zip(images, pixels(views), params, strict=True):
        far = np.abs(view - apply_params(image, one, 48))
        (hue if 'hue' in dict(one.jitter) else plain).append(far)
    # The one level of the crop; rounding after a blur might double it.
    assert np.max(plain) <= 2
    assert np.mean(plain) < 0.3
    if hue:
        assert np.mean(hue) < 0.65
        assert np.quantile(hue, 0.999) <= 8
    for image, view, one in zip(images, pixels(small), other, strict=True):
        assert np.abs(view - apply_params(image, one, 9)).max() <= 1


def test_a_view_does_not_depend_on_its_batch() -> None:
    images = 3 * bgr_photographs()
    params = drawn('strong_gamma', images, 10)
    tensors = [planes(image) for image in images]
    rows = [pack_params([one], [32]) for one in params]
    (together,) = make_views(tensors, rows)
    alone = [
        make_views([image], [row])[0]
        for image, row in zip(tensors, rows, strict=True)
    ]
    torch.testing.assert_close(together, torch.cat(alone), rtol=0, atol=1e-3)
    # Images of one size may come stacked.
    stacked = torch.stack([tensors[0]] * 2)
    (views,) = make_views(stacked, torch.stack([rows[0]] * 2))
    assert torch.equal(views, together[:1].expand_as(views))


def test_blur_of_small_views_and_of_no_deviation() -> None:
    view = torch.randint(256, (2, 3, 6, 6)).float()
    sigmas = torch.tensor([0.0, 2.0])
    blurred = OPERATIONS['blur'](view, sigmas)
    assert torch.equal(blurred[0], view[0])
    flat = torch.full_like(view, 77.0)
    torch.testing.assert_close(OPERATIONS['blur'](flat, sigmas), flat)
    assert not torch.equal(blurred[1], view[1])


@pytest.mark.parametrize('name', OPERATIONS)
def test_operations_leave_their_arguments_alone(name: str) -> None:
    view = torch.randint(256, (2, 3, 20, 20)).float()
    before, values = view.clone(), torch.tensor([0.1, 0.6])
    result = OPERATIONS[name](view, values)
    assert result.shape == view.shape
    assert torch.equal(view, before)


def test_edges_of_hue_and_solarisation() -> None:
    # Grey pixels keep their level under any hue.
    grey = torch.arange(256.0).expand(3, 3, 1, 256)
    turned = OPERATIONS['hue'](grey, torch.tensor([-0.5, 0.03, 0.5]))
    assert torch.equal(turned, grey)
    # Unrounded levels are solarised as float tensors are.
    levels = torch.tensor([127.4, 127.5, 127.6, 128.0]).view(1, 1, 1, 4)
    views = levels.expand(1, 3, 1, 4)
    found = OPERATIONS['solarise'](views, torch.tensor([128.0]))
    expected = 255 * solarize(views / 255, 0.5)
    torch.testing.assert_close(found, expected)
