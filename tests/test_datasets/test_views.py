"""SCEViews as a transform."""

import numpy as np
import pytest
import torch
from mmengine.dataset import default_collate
from mmpretrain.datasets import PackInputs
from mmpretrain.models import SelfSupDataPreprocessor
from mmpretrain.registry import TRANSFORMS
from sklearn.datasets import load_sample_image

from sce_mm.datasets import SampleIndex, SCEViews

VIEWS = [
    dict(augmentation='strong_alpha', size=48),
    dict(augmentation='strong_beta', size=48),
    dict(augmentation='strong_gamma', size=24, scale=(0.086, 0.429)),
]


@pytest.fixture
def image() -> np.ndarray:
    return np.ascontiguousarray(load_sample_image('china.jpg')[..., ::-1])


def test_views_are_contiguous_uint8_of_their_sizes(image: np.ndarray) -> None:
    before = image.copy()
    results = dict(img=image, sample_idx=SampleIndex(3, 0, 0))
    views = SCEViews(VIEWS)(results)['img']
    assert [view.shape for view in views] == [(48, 48, 3)] * 2 + [(24, 24, 3)]
    assert all(view.dtype == np.uint8 for view in views)
    assert all(view.flags.c_contiguous for view in views)
    assert results['img'] is image
    assert (image == before).all()


def test_it_builds_from_a_config_and_feeds_the_data_preprocessor(
    image: np.ndarray,
) -> None:
    transform = TRANSFORMS.build(dict(type='SCEViews', views=VIEWS))
    packed = [
        PackInputs()(
            transform(dict(img=image, sample_idx=SampleIndex(i, 0, 0)))
        )
        for i in range(4)
    ]
    preprocessor = SelfSupDataPreprocessor(
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=True,
    )
    batch = preprocessor(default_collate(packed))
    shapes = [tuple(view.shape) for view in batch['inputs']]
    assert shapes == [(4, 3, 48, 48)] * 2 + [(4, 3, 24, 24)]
    # The last channel of a BGR view is the first that the model sees.
    red = packed[2]['inputs'][1][2].float()
    expected = (red - 123.675) / 58.395
    assert torch.allclose(batch['inputs'][1][2, 0], expected, atol=1e-5)
    assert not hasattr(batch['data_samples'][0], 'gt_label')


def test_draws_depend_on_seed_epoch_index_and_view(image: np.ndarray) -> None:
    transform = SCEViews([VIEWS[0], VIEWS[0]])

    def views(*index: int) -> list[np.ndarray]:
        results = dict(img=image, sample_idx=SampleIndex(*index))
        return list(transform(results)['img'])

    first = views(5, 1, 42)
    again = views(5, 1, 42)
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    others = [views(6, 1, 42), views(5, 2, 42), views(5, 1, 43)]
    for other in others:
        assert not (first[0] == other[0]).all()
    assert not (first[0] == first[1]).all()


def test_a_plain_index_draws_from_numpys_global_state(
    image: np.ndarray,
) -> None:
    transform = SCEViews(VIEWS[:1])
    np.random.seed(0)
    first, second = (
        transform(dict(img=image, sample_idx=7))['img'][0] for _ in range(2)
    )
    np.random.seed(0)
    replay = transform(dict(img=image))['img'][0]
    assert (first == replay).all()
    assert not (first == second).all()


@pytest.mark.parametrize('shape', [(1, 1), (1, 700), (700, 1), (2, 3)])
def test_tiny_images_and_strips_give_whole_views(
    shape: tuple[int, int],
) -> None:
    rng = np.random.default_rng(0)
    strip = rng.integers(0, 256, (*shape, 3), np.uint8)
    for index in range(20):
        results = dict(img=strip, sample_idx=SampleIndex(index, 0, 0))
        sizes = [view.shape[0] for view in SCEViews(VIEWS)(results)['img']]
        assert sizes == [48, 48, 24]


@pytest.mark.parametrize(
    ('views', 'error', 'message'),
    [
        ([], ValueError, 'views is empty'),
        (dict(augmentation='weak'), TypeError, 'list with one dict a view'),
        (['weak'], TypeError, r'views\[0\] must be a dict, got str'),
        ([dict(size=3)], ValueError, r"views\[0\] has no 'augmentation'"),
        (
            [VIEWS[0], dict(augmentation='strong_bta')],
            ValueError,
            r"views\[1\]: unknown augmentation .*'strong_beta'",
        ),
        (
            [dict(augmentation='weak', scales=(0.1, 1))],
            ValueError,
            r"views\[0\]: unknown key 'scales' \(did you mean 'scale'",
        ),
    ],
)
def test_mistakes_in_the_config_are_named(
    views: object, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        SCEViews(views)


@pytest.mark.parametrize(
    'wrong', [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)]
)
def test_an_image_of_another_kind_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r'needs an image .* of uint8, got'):
        SCEViews(VIEWS)(dict(img=wrong))
