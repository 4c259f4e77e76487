"""A tiny data set and a backbone file, for all tests of detectors."""

import json

import cv2
import numpy as np
import pytest
from coco_files import coco
from transfer_files import backbone_writer


@pytest.fixture(scope='session')
def mmdet_modules():
    """All that mmdet registers."""
    from mmdet.utils import register_all_modules

    register_all_modules(init_default_scope=False)


@pytest.fixture(scope='session')
def scenes(tmp_path_factory):
    """Four images of 64 pixels with a box and a mask, two classes."""
    folder = tmp_path_factory.mktemp('scenes')
    for index in range(4):
        image = np.full((64, 64, 3), 40 * index, np.uint8)
        cv2.rectangle(image, (10, 12), (40, 50), (200, 30, 90), -1)
        cv2.imwrite(str(folder / f'{index}.png'), image)
    content = coco(4, ['cup', 'jar'], masks=True)
    (folder / 'train.json').write_text(json.dumps(content))
    return folder


@pytest.fixture(scope='session')
def backbone_file(tmp_path_factory):
    """``backbone_file(channels, depth, **metadata)``: file of a ResNet."""
    return backbone_writer(tmp_path_factory.mktemp('weights'))


@pytest.fixture(scope='session')
def tiny_data(scenes):
    """Text of a config: the scenes, two iterations, nothing written."""
    pipeline = [
        {'type': 'LoadImageFromFile'},
        {'type': 'LoadAnnotations', 'with_bbox': True, 'with_mask': True},
        {'type': 'Resize', 'scale': (64, 64)},
        {'type': 'PackDetInputs'},
    ]
    return f"""
train_dataloader = dict(
    _delete_=True, batch_size=2, num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='CocoDataset', data_root={str(scenes)!r},
                 ann_file='train.json', data_prefix=dict(img=''),
                 metainfo=dict(classes=('cup', 'jar')), pipeline={pipeline!r}))
train_cfg = dict(
    _delete_=True, type='EpochBasedTrainLoop', max_epochs=1)
val_cfg = val_dataloader = val_evaluator = None
default_hooks = dict(checkpoint=None)
"""
