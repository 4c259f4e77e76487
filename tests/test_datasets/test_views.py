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


def test_it_builds_from_a_config_and_feeds_the_data_preprocessor(
    image: np.ndarray,
) -> None:
    transform = TRANSFORMS.build(dict(type='SCEViews', views=VIEWS))
    before = image.copy()
    views = [
        transform(dict(img=image, sample_idx=SampleIndex(i, 0, 0)))
        for i in range(4)
    ]
    assert (image == before).all()
    preprocessor = SelfSupDataPreprocessor(
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=True,
    )
    packed = [PackInputs()(each) for each in views]
    # Packing a view copies nothing.
    for view, tensor in zip(views[0]['img'], packed[0]['inputs'], strict=True):
        assert tensor.is_contiguous()
        assert np.shares_memory(view, tensor.numpy())
    batch = preprocessor(default_collate(packed))
    shapes = [tuple(view.shape) for view in batch['inputs']]
    assert shapes == [(4, 3, 48, 48)] * 2 + [(4, 3, 24, 24)]
    # The last channel of a BGR view is the first that the model sees.
    red = packed[2]['inputs'][1][2].float()
    expected = (red - 123.675) / 58.395
    assert torch.allclose(batch['inputs'][1][2, 0], expected, atol=1e-5)


def test_draws_depend_on_seed_epoch_index_and_view(image: np.ndarray) -> None:
    transform = SCEViews([VIEWS[0], VIEWS[0]])

    def views(*index: int) -> list[np.ndarray]:
        results = dict(img=image, sample_idx=SampleIndex(*index))
        return list(transform(results)['img'])

    first = views(5, 1, 42)
    assert np.array_equal(first, views(5, 1, 42))
    for other in (views(6, 1, 42), views(5, 2, 42), views(5, 1, 43)):
        assert not np.array_equal(first[0], other[0])
    assert not np.array_equal(*first)


def test_a_plain_index_draws_from_numpys_global_state(
    image: np.ndarray,
) -> None:
    transform = SCEViews(VIEWS[:1])
    np.random.seed(0)
    first, second = (
        transform(dict(img=image, sample_idx=7))['img'] for _ in range(2)
    )
    np.random.seed(0)
    assert np.array_equal(first, transform(dict(img=image))['img'])
    assert not np.array_equal(first, second)


@pytest.mark.parametrize('shape', [(1, 1), (1, 700), (700, 1)])
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
        (['weak'], ValueError, r'views\[0\] must be a dict, got str'),
        ([dict(size=3)], ValueError, r"views\[0\] has no 'augmentation'"),
        (
            [VIEWS[0], dict(augmentation='strong_bta')],
            ValueError,
            r"views\[1\]: unknown augmentation .*'strong_beta'",
        ),
    ],
)
def test_mistakes_in_the_config_are_named(
    views: object, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        SCEViews(views)


def test_an_image_of_another_kind_is_refused() -> None:
    wrong = np.zeros((4, 4, 3), np.float32)
    with pytest.raises(ValueError, match=r'needs an image .* of uint8, got'):
        SCEViews(VIEWS)(dict(img=wrong))
