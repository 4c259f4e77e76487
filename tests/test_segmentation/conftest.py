"""A tiny data set of label maps and a backbone file, for segmentors."""

import cv2
import numpy as np
import pytest
from transfer_files import backbone_writer


@pytest.fixture(scope='session')
def backbone_file(tmp_path_factory):
    """``backbone_file(channels, depth, **metadata)``: file of a ResNet."""
    return backbone_writer(tmp_path_factory.mktemp('weights'))


@pytest.fixture(scope='session')
def maps(tmp_path_factory):
    """Folder of four images of 64 pixels and their maps of labels."""
    folder = tmp_path_factory.mktemp('maps')
    for part in ('images', 'masks'):
        (folder / part).mkdir()
    for index in range(4):
        image = np.full((64, 64, 3), 40 * index, np.uint8)
        cv2.rectangle(image, (10, 12), (40, 50), (200, 30, 90), -1)
        labels = np.zeros((64, 64), np.uint8)
        labels[12:51, 10:41] = 1
        cv2.imwrite(str(folder / 'images' / f'{index}.png'), image)
        cv2.imwrite(str(folder / 'masks' / f'{index}.png'), labels)
    return folder


@pytest.fixture(scope='session')
def tiny_data(maps):
    """Text of a config: the maps, two iterations, one evaluation."""
    pipeline = [
        {'type': 'LoadImageFromFile'},
        {'type': 'LoadAnnotations'},
        {'type': 'PackSegInputs'},
    ]
    return f"""
tiny = dict(
    type='BaseSegDataset', data_root={str(maps)!r}, img_suffix='.png',
    data_prefix=dict(img_path='images', seg_map_path='masks'),
    metainfo=dict(classes=('ground', 'cup', 'jar'),
                  palette=[[0] * 3, [9] * 3, [99] * 3]),
    pipeline={pipeline!r})
train_dataloader = dict(
    _delete_=True, batch_size=2, num_workers=0,
    sampler=dict(type='InfiniteSampler', shuffle=False), dataset=tiny)
val_dataloader = test_dataloader = dict(
    _delete_=True, batch_size=1, num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False), dataset=tiny)
train_cfg = dict(
    _delete_=True, type='IterBasedTrainLoop', max_iters=2, val_interval=2)
model = dict(data_preprocessor=dict(size=(64, 64)))
default_hooks = dict(checkpoint=None, visualization=None)
"""
