"""The size of regions follows the user's boxes and the detector's scale."""

import numpy as np
import pytest
from mmcv.transforms import Resize
from mmengine.config import Config

from sce_mm.config.region_size import (
    box_side,
    detector_scale,
    region_size,
    resize_factor,
)
from sce_mm.utils.errors import UserError


def labels(*boxes, size=(480, 640)):
    annotations = [{'bbox': [5, 5, w, h]} for w, h in boxes]
    images = [{'height': size[0], 'width': size[1]}]
    return {'images': images, 'annotations': annotations}


def detector(*pipeline, part='test'):
    inner = dict(type='CocoDataset', pipeline=list(pipeline))
    dataset = dict(type='RepeatDataset', dataset=inner)
    return Config({f'{part}_dataloader': dict(dataset=dataset)})


@pytest.mark.parametrize('box', [5, 30, 83, 200, 900])
@pytest.mark.parametrize('scale', [0.3, 1, 1.67, 4])
@pytest.mark.parametrize('short_side', [120, 480, 4000])
def test_views_show_objects_at_the_scale_of_the_detector(
    box, scale, short_side
):
    side, view, limit = region_size(box, scale, short_side)
    assert view % 32 == 0
    assert 64 <= view <= 224
    assert side <= short_side
    if side < short_side:
        assert side * scale == pytest.approx(view, abs=scale)
    if not limit:
        assert side == pytest.approx(1.3 * box, abs=17 / scale)


@pytest.mark.parametrize(
    ('box', 'scale', 'short_side', 'expected'),
    [
        (10, 1, 480, (64, 64, '64 to 224')),
        (400, 1, 480, (224, 224, '64 to 224')),
        (100, 1, 100, (96, 96, '100 px wide')),
        (83, 0.5, 100, (100, 64, '100 px wide')),
    ],
)
def test_what_kept_the_size_from_following_is_said(
    box, scale, short_side, expected
):
    *sizes, limit = region_size(box, scale, short_side)
    assert tuple(sizes) == expected[:2]
    assert expected[2] in limit


def test_crowds_and_empty_boxes_do_not_count():
    content = labels((10, 40), (30, 30), (90, 10), (500, 500), (0, 70))
    content['annotations'][3]['iscrowd'] = 1
    assert box_side(content) == pytest.approx(30)
    with pytest.raises(UserError, match=r'no box.*--regions 128'):
        box_side(labels((0, 0)))


@pytest.mark.parametrize(
    'options',
    [
        {'scale': (1333, 800), 'keep_ratio': True},
        {'scale': (800, 1333), 'keep_ratio': True},
        {'scale': (300, 200)},
        {'scale': 256},
        {'scale_factor': 0.5},
        {'scale_factor': (2.0, 0.5), 'keep_ratio': True},
    ],
)
@pytest.mark.parametrize('size', [(480, 640), (640, 480), (100, 800)])
def test_the_factor_is_that_of_the_transform(options, size):
    found = Resize(**options)({'img': np.zeros((*size, 3), np.uint8)})
    expected = np.prod(found['scale_factor']) ** 0.5
    factor = resize_factor(options, *size)
    assert factor == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize('part', ['test', 'val'])
def test_the_scale_is_that_of_the_test_pipeline(part):
    resize = dict(type='mmdet.Resize', scale=(320, 240), keep_ratio=True)
    load = dict(type='LoadImageFromFile')
    assert detector_scale(detector(load, resize, part=part), labels()) == 0.5
    assert detector_scale(detector(load), labels()) == 1


def test_a_scale_that_is_not_known_is_refused():
    unknown = detector(dict(type='ResizeShortestEdge', scale=800))
    resize = detector(dict(type='Resize', scale=800))
    for cfg, content, named in (
        (unknown, labels(), 'ResizeShortestEdge'),
        (Config(), labels(), 'test_dataloader.dataset.pipeline'),
        (resize, {'images': [{'id': 1}]}, "'height'"),
    ):
        with pytest.raises(UserError, match=f'{named}.*--regions 128'):
            detector_scale(cfg, content)
