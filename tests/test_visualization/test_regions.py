"""The sheet of regions shows what the network gets."""

import base64
import re

import cv2
import numpy as np
import pytest
from image_files import write_noise
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.registry import DATASETS

from sce_mm.config.parts import view_transforms
from sce_mm.config.regions import set_regions
from sce_mm.datasets import SeededSampler
from sce_mm.visualization.regions import regions_sheet


@pytest.fixture
def cfg(root, tmp_path):
    write_noise(tmp_path, 4)
    recipe = 'sce_resnet18_1xb64-coslr-200e_folder.py'
    cfg = Config.fromfile(root / 'configs' / 'sce' / recipe)
    cfg.train_dataloader.dataset.data_root = str(tmp_path)
    return cfg


def shown(sheet):
    """Images of a sheet, and their captions."""
    found = re.findall(r'src="data:image/png;base64,(.*?)" alt="(.*?)"', sheet)
    return [
        (cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), 1), alt)
        for text, alt in found
    ]


def samples(cfg, seed):
    """Views of the first epoch, ``[v, h, w, c]`` by image and repetition."""
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        dataset = DATASETS.build(cfg.train_dataloader.dataset)
    views = {}
    for index in SeededSampler(dataset, seed=seed):
        sample = dataset[index]
        name = sample['data_samples'].img_path.rpartition('/')[2]
        views.setdefault(name, []).append(
            [view.permute(1, 2, 0).numpy() for view in sample['inputs']]
        )
    return views


@pytest.mark.parametrize('sides', [(16, 16), None])
def test_views_are_those_of_the_first_epoch(cfg, sides):
    set_regions(cfg, sides)
    sheet = regions_sheet(cfg, count=2, seed=5)
    assert sheet != regions_sheet(cfg, count=2, seed=6)
    views, regions, names = [], [], []
    for pixels, caption in shown(sheet):
        kind = caption.split()[0]
        if kind == 'view':
            views.append(pixels)
        elif kind == 'region':
            regions.append(pixels.shape)
        else:
            names.append(caption.split(',')[0])
            assert ('6 regions an epoch' in caption) == bool(sides)
    expected = samples(cfg, seed=5)
    each = 3 if sides else 1
    assert len(set(names)) == 2
    assert regions == [(16, 16, 3)] * 6 * bool(sides)
    wanted = [
        view
        for name in names
        for sample in expected[name][:each]
        for view in sample
    ]
    for got, want in zip(views, wanted, strict=True):
        assert (got == want).all()
    # Whether the views are left to the device makes no difference.
    (transform,) = (transform for _, transform in view_transforms(cfg))
    transform['deferred'] = True
    assert regions_sheet(cfg, count=2, seed=5) == sheet


def test_images_that_cannot_be_read_are_left_out(cfg, tmp_path):
    (tmp_path / '0.png').write_bytes(b'no image')
    set_regions(cfg, (16, 16))
    captions = [caption for _, caption in shown(regions_sheet(cfg))]
    assert sum('50 x 40 px' in caption for caption in captions) == 3
