"""Options that let a config train on regions of its images."""

import copy
import logging
from argparse import Namespace

import pytest
from image_files import write_noise
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.registry import DATASETS
from PIL import Image

from sce_mm.cli import image_options
from sce_mm.config.parts import (
    innermost_dataset,
    view_sizes,
    view_transforms,
)
from sce_mm.config.regions import choose_regions, set_regions
from sce_mm.datasets import build_cache
from sce_mm.datasets.images.regions import count_distinct
from sce_mm.utils.errors import UserError


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    """Five images of 50 x 40 pixels, and one more that has to be turned."""
    folder = tmp_path_factory.mktemp('scenes')
    write_noise(folder, 6)
    with Image.open(folder / '5.png') as photo:
        exif = photo.getexif()
        exif[0x0112] = 6
        photo.transpose(Image.Transpose.ROTATE_90).save(
            folder / '5.jpg', exif=exif
        )
    (folder / '5.png').unlink()
    return folder


@pytest.fixture
def cfg(root, scenes):
    recipe = 'sce_resnet18_1xb64-coslr-200e_folder.py'
    cfg = Config.fromfile(root / 'configs' / 'sce' / recipe)
    cfg.train_dataloader.dataset.data_root = str(scenes)
    return cfg


def built(cfg):
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return DATASETS.build(cfg.train_dataloader.dataset)


@pytest.mark.parametrize(
    ('sides', 'given', 'size', 'times'),
    [
        # Two rows of three.
        ((16, 16), None, 16, 6),
        ((8, 32), None, [8, 32], 6),
        ((16, 16), 4, 16, 4),
        ((64, 64), None, 64, 1),
        (None, None, None, 1),
        (None, 4, None, 4),
    ],
)
def test_regions_are_cut_behind_the_loading_as_often_as_they_fit(
    cfg, sides, given, size, times
):
    plain = copy.deepcopy(cfg)
    # What a config has is replaced.
    set_regions(cfg, (9, 9), 7)
    set_regions(cfg, sides, given)
    dataset = cfg.train_dataloader.dataset
    _, inner = innermost_dataset(cfg)
    if times > 1:
        assert (dataset.type, dataset.times) == ('RepeatDataset', times)
        assert dataset.dataset == inner
    else:
        assert dataset == inner
    expected = copy.deepcopy(plain.train_dataloader.dataset)
    if size:
        expected.pipeline.insert(1, dict(type='CutRegion', size=size))
    assert inner == expected
    images = built(cfg)
    assert len(images) == 6 * times
    assert count_distinct(images) == 6 * (times if size else 1)
    images[0]


def test_what_an_epoch_is_and_small_images_are_said(cfg):
    cfg.train_dataloader.batch_size = 4
    assert set_regions(cfg, (16, 16)) == [
        '6 images x 6 regions of 16 px: an epoch is 36 samples, 9 steps of 4'
    ]
    _, warning = set_regions(cfg, (45, 60))
    assert '6 of 6 images are smaller than a region of 52 px' in warning
    _, warning = set_regions(cfg, (64, 64), 2)
    assert 'each is taken whole' in warning
    cfg.train_dataloader.batch_size = 8
    line, _, warning = set_regions(cfg, (64, 64), 2)
    assert 'an epoch is 12 samples, 1 step of 8' in line
    assert 'a batch of 8 is larger than the 6 images' in warning
    assert '--regions-per-image 1' in warning
    # Regions of one image that differ may be in one batch.
    assert len(set_regions(cfg, (16, 16))) == 1
    line, *warnings = set_regions(cfg, (64, 64), 1)
    assert 'an epoch is 6 samples, not one full step of 8' in line
    assert len(warnings) == 1
    cfg.train_dataloader.batch_size = 4
    (line,) = set_regions(cfg, None, 5)
    assert '6 whole images x 5 times: an epoch is 30 samples' in line


def test_the_log_warns_of_small_images(cfg, monkeypatch):
    levels = []
    monkeypatch.setattr(
        image_options,
        'print_log',
        lambda *_, level, **__: levels.append(level),
    )
    args = Namespace(regions=(64, 64), regions_per_image=1)
    image_options.apply_region_options(
        cfg, args, image_options.RegionSources()
    )
    assert levels == [logging.INFO, logging.WARNING]


@pytest.mark.parametrize(('turns', 'times'), [(True, 3 * 1), (False, 1 * 2)])
def test_images_are_as_large_as_they_are_when_loaded(
    cfg, scenes, tmp_path, turns, times
):
    # Only the image that has to be turned, 40 x 50 pixels in its file.
    only = tmp_path / 'only'
    only.mkdir()
    (only / 'turned.jpg').symlink_to(scenes / '5.jpg')
    dataset = cfg.train_dataloader.dataset
    dataset.data_root = str(only)
    dataset.pipeline[0].apply_orientation = turns
    set_regions(cfg, (16, 16))
    with Image.open(scenes / '5.jpg') as stored:
        assert stored.size == (40, 50)
    image = built(cfg).dataset.pipeline.transforms[0](
        {'img_path': str(only / 'turned.jpg')}
    )['img']
    rows, columns = image.shape[0] // 16, image.shape[1] // 16
    assert cfg.train_dataloader.dataset.times == rows * columns


def test_those_of_a_cache_are_as_large_as_there(cfg, scenes, tmp_path):
    build_cache(scenes, tmp_path / 'cache', short_side=20)
    loader = dict(type='LoadCachedImage', cache=str(tmp_path / 'cache'))
    cfg.train_dataloader.dataset.pipeline[0] = loader
    set_regions(cfg, (10, 10))
    # 25 x 20 pixels.
    assert cfg.train_dataloader.dataset.times == 4


def test_the_repetition_is_outermost(cfg):
    inner = cfg.train_dataloader.dataset
    cfg.train_dataloader.dataset = dict(
        type='RepeatDataset',
        times=3,
        dataset=dict(type='KFoldDataset', dataset=inner),
    )
    set_regions(cfg, (16, 16))
    dataset = cfg.train_dataloader.dataset
    types = []
    while dataset:
        types.append(dataset.type)
        dataset = dataset.get('dataset')
    assert types == ['RepeatDataset', 'KFoldDataset', 'UnlabelledImages']


def test_the_parts_of_a_concatenation_are_cut_alike(cfg, scenes, tmp_path):
    (tmp_path / 'more').mkdir()
    write_noise(tmp_path / 'more', 2)
    part = cfg.train_dataloader.dataset
    more = copy.deepcopy(part)
    more.data_root = str(tmp_path / 'more')
    parts = [part, dict(type='RepeatDataset', times=3, dataset=more)]
    cfg.train_dataloader.dataset = dict(type='ConcatDataset', datasets=parts)
    cfg.train_dataloader.batch_size = 4
    line, *_ = choose_regions(cfg, 'auto', None, BOXES, DETECTOR)[1:]
    assert line.startswith('8 images x 6 regions of 16 px')
    images = built(cfg)
    assert len(images) == count_distinct(images) == 8 * 6
    sizes = [view_sizes(transform) for _, transform in view_transforms(cfg)]
    assert sizes == [[64, 64]] * 2
    set_regions(cfg, None)
    assert len(built(cfg)) == 8


def test_what_has_no_regions_is_refused(cfg, tmp_path):
    cfg.train_dataloader.dataset.pipeline.pop(0)
    with pytest.raises(UserError, match=r'--regions.*UnlabelledImages with'):
        set_regions(cfg, (16, 16))


def test_a_damaged_header_is_left_out(cfg, scenes, tmp_path):
    content = bytearray((scenes / '0.png').read_bytes())
    (tmp_path / 'whole.png').write_bytes(content)
    # The length of the first chunk, for which Pillow raises a ValueError.
    content[8:12] = bytes(4)
    (tmp_path / 'damaged.png').write_bytes(content)
    cfg.train_dataloader.dataset.data_root = str(tmp_path)
    line, *_ = set_regions(cfg, (16, 16))
    assert line.startswith('2 images x 6 regions of 16 px')


def test_images_that_cannot_be_read_are_named(cfg, tmp_path):
    (tmp_path / 'broken.png').write_bytes(b'no image')
    cfg.train_dataloader.dataset.data_root = str(tmp_path)
    with pytest.raises(UserError, match=r'none of the 1 images.*broken\.png'):
        set_regions(cfg, (16, 16))


BOXES = {
    'images': [{'height': 40, 'width': 50}],
    'annotations': [{'bbox': [0, 0, 10, 10]}],
}
# Images become four times as large.
RESIZE = dict(type='Resize', scale=(200, 160), keep_ratio=True)
DETECTOR = Config(
    {'test_dataloader': {'dataset': {'type': 'X', 'pipeline': [RESIZE]}}}
)


@pytest.mark.parametrize(
    ('detector', 'side', 'sizes'),
    [(None, 13, [128, 64, 32]), (DETECTOR, 16, [64, 32, 32])],
)
def test_auto_follows_the_boxes_and_the_detector(cfg, detector, side, sizes):
    views = cfg.train_dataloader.dataset.pipeline[1].views
    views[1]['size'] = 64
    views.append(dict(augmentation='weak', size=32))
    lines = choose_regions(cfg, 'auto', None, BOXES, detector)
    _, dataset = innermost_dataset(cfg)
    assert dataset.pipeline[1] == dict(type='CutRegion', size=side)
    assert [view['size'] for view in dataset.pipeline[2].views] == sizes
    assert 'the median box has 10 px' in lines[0]
    assert f'regions of {side} px' in lines[0]
    assert '6 images x ' in lines[1]


@pytest.mark.parametrize('scale', [None, (2000, 1600)])
def test_regions_of_tiny_boxes_are_as_large_as_they_must_be(cfg, scale):
    labels = {**BOXES, 'annotations': [{'bbox': [0, 0, 5, 5]}]}
    detector = copy.deepcopy(DETECTOR) if scale else None
    if detector:
        detector.test_dataloader.dataset.pipeline[0].scale = scale
    line, *_ = choose_regions(cfg, 'auto', None, labels, detector)
    _, dataset = innermost_dataset(cfg)
    assert dataset.pipeline[1] == dict(type='CutRegion', size=8)
    assert 'regions have at least 8 px' in line
    built(cfg)


@pytest.mark.parametrize(('short_side', 'size'), [(20, 8), (None, 16)])
def test_auto_knows_that_a_cache_has_shrunk_the_objects(
    cfg, scenes, tmp_path, monkeypatch, short_side, size
):
    build_cache(scenes, tmp_path / 'cache', short_side=short_side)
    loader = dict(type='LoadCachedImage', cache=str(tmp_path / 'cache'))
    cfg.train_dataloader.dataset.pipeline[0] = loader
    if short_side is None:
        # One of full size knows all that is asked for.
        monkeypatch.setattr(Image, 'open', None)
    # The median box has 5 pixels in the small cache.
    choose_regions(cfg, 'auto', None, BOXES, DETECTOR)
    _, dataset = innermost_dataset(cfg)
    assert dataset.pipeline[1].size == size


def test_auto_needs_boxes(cfg):
    with pytest.raises(UserError, match=r'--boxes FILE.*--regions 128'):
        choose_regions(cfg, 'auto')
