"""A real Mask R-CNN trains on the right weights, and on no others."""

import itertools
from pathlib import Path

import pytest
import torch
from mmcv.transforms import BaseTransform
from mmdet.models import FPN, MaskRCNN
from mmdet.models import ResNet as DetResNet
from mmdet.registry import MODELS, TRANSFORMS
from mmengine.config import Config
from mmengine.hooks import Hook
from mmpretrain.models import ResNet
from transfer_files import METADATA, prefixed

from sce_mm.cli.runner import build_runner
from sce_mm.transfer import (
    Backbone,
    extract_backbone,
    save_backbone,
    tensor_hash,
)

pytestmark = pytest.mark.integration


# Each Runner needs a name of its own.
COUNT = itertools.count()


class Count(Hook):
    """Iterations that were made."""

    def __init__(self):
        self.iterations = 0

    def after_train_iter(self, *args, **kwargs):
        self.iterations += 1


def resnet(**options):
    torch.manual_seed(0)
    options = {'base_channels': 8, 'stem_channels': 8, **options}
    return ResNet(18, **options).state_dict()


@pytest.fixture
def weights(tmp_path):
    """``weights(change, pyramid, metadata)`` writes a backbone file."""

    def write(change=None, pyramid=None, **metadata):
        tensors, meta, _ = extract_backbone(resnet())
        if change:
            change(tensors)
        meta |= METADATA | metadata
        backbone = Backbone(tensors, meta, pyramid or {})
        meta['sha256'] = tensor_hash(backbone.tensors)
        path = tmp_path / 'backbone.pth'
        save_backbone(path, backbone)
        return path

    return write


@pytest.fixture
def run(root, scenes, tmp_path):
    """``run(path, **overrides)`` trains for two iterations."""
    base = root / 'configs/_base_/detection/mask-rcnn_r50_fpn_ssl.py'
    pipeline = [
        {'type': 'LoadImageFromFile'},
        {'type': 'LoadAnnotations', 'with_bbox': True, 'with_mask': True},
        {'type': 'Resize', 'scale': (64, 64)},
        {'type': 'PackDetInputs'},
    ]
    config = f"""
_base_ = ['{base}', 'mmdet::_base_/default_runtime.py']
model = dict(
    backbone=dict(depth=18, base_channels=8, stem_channels=8),
    neck=dict(in_channels=[8, 16, 32, 64], out_channels=16),
    rpn_head=dict(in_channels=16, feat_channels=16),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=16),
        mask_roi_extractor=dict(out_channels=16),
        bbox_head=dict(in_channels=16, conv_out_channels=16,
                       fc_out_channels=32, num_classes=2),
        mask_head=dict(in_channels=16, conv_out_channels=16, num_classes=2)))
train_dataloader = dict(
    batch_size=2, num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='CocoDataset', data_root='{scenes}',
                 ann_file='train.json', metainfo=dict(classes=('cup', 'jar')),
                 data_prefix=dict(img=''), pipeline={pipeline!r}))
train_cfg = dict(by_epoch=True, max_epochs=1)
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.001))
default_hooks = dict(
    verify_transfer=dict(type='VerifyTransferHook'),
    checkpoint=dict(interval=1))
log_level = 'INFO'
work_dir = '{tmp_path / 'work'}'
launcher = 'none'
"""
    path = tmp_path / 'config.py'
    path.write_text(config)

    def train(weights, hooks=(), change=None, **overrides):
        cfg = Config.fromfile(path)
        cfg.model.backbone.init_cfg.checkpoint = str(weights)
        cfg.merge_from_dict(overrides)
        if change:
            change(cfg)
        cfg.experiment_name = f'{tmp_path.name}-{next(COUNT)}'
        cfg.visualizer.name = cfg.experiment_name
        runner = build_runner(cfg)
        count = Count()
        for hook in (*hooks, count):
            runner.register_hook(hook)
        try:
            runner.train()
        except ValueError as error:
            return count.iterations, str(error)
        log = max(Path(cfg.work_dir).glob('*/*.log'))
        return count.iterations, log.read_text()

    return train


def test_the_right_weights_are_proved_and_trained(run, weights, tmp_path):
    other = tmp_path / 'neck.pth'
    torch.save({'state_dict': {}}, other)
    loads = {'type': 'Pretrained', 'checkpoint': str(other)}
    # Resuming where there is nothing to resume verifies as well.
    iterations, log = run(
        weights(), resume=True, **{'model.neck.init_cfg': loads}
    )
    assert iterations == 2
    assert 'transfer verified: 120/120 tensors, sha256 ' in log
    assert 'ResNet-18 of SCE, 3 epochs' in log
    assert f'model.neck.init_cfg.checkpoint loads {other}' in log


def test_a_pyramid_is_proved_and_trained_too(run, weights):
    norm = {'type': 'BN', 'requires_grad': True}
    torch.manual_seed(0)
    fpn = FPN([8, 16, 32, 64], 16, 4, norm_cfg=norm)
    path = weights(pyramid=fpn.state_dict())
    loads = {
        'type': 'Pretrained',
        'checkpoint': str(path),
        'prefix': 'pyramid.',
    }
    iterations, log = run(path, **{'model.neck.init_cfg': loads})
    assert iterations == 2
    assert f'verified: {120 + 48}/{120 + 48} tensors' in log
    # mmengine's lines on what the backbone alone does not take.
    assert 'unexpected key' not in log
    # Of another width, or not in the file at all.
    iterations, error = run(
        weights(pyramid=FPN([8] * 4, 16, 4, norm_cfg=norm).state_dict()),
        **{'model.neck.init_cfg': loads},
    )
    assert (iterations, 'of another shape' in error) == (0, True)
    iterations, error = run(weights(), **{'model.neck.init_cfg': loads})
    assert (iterations, 'which has none' in error) == (0, True)


REFUSED = {
    'a tensor less': (
        lambda t: t.pop('layer2.0.conv1.weight'),
        {},
        {},
        '1 missing in the file: layer2.0.conv1.weight',
    ),
    'frozen': (
        None,
        {},
        {'model.backbone.frozen_stages': 1},
        'parameters are frozen (backbone.conv1.weight, ',
    ),
    'nothing to load': (
        None,
        {},
        {'model.backbone.init_cfg': None},
        'the backbone does not load anything',
    ),
    'a rate of zero': (
        None,
        {},
        {
            'optim_wrapper.paramwise_cfg': {
                'custom_keys': {'layer2.1': {'lr_mult': 0}}
            }
        },
        '6 pretrained parameters have a learning rate of zero '
        '(backbone.layer2.1.conv1.weight, ',
    ),
    'a neck for another network': (
        None,
        {},
        {'model.neck.in_channels': [8, 16, 32, 32]},
        'model.neck.lateral_convs.3.conv expects 32 channels and gets 64: the '
        'backbone gives [8, 16, 32, 64], set the in_channels of model.neck',
    ),
}


@pytest.mark.parametrize('case', REFUSED)
def test_anything_else_stops_before_the_first_iteration(run, weights, case):
    change, metadata, overrides, message = REFUSED[case]
    iterations, error = run(weights(change, **metadata), **overrides)
    assert iterations == 0
    assert error.startswith('transfer refused')
    assert message in error


def test_files_that_are_no_backbone_files(run, tmp_path):
    iterations, error = run(tmp_path / 'none.pth')
    assert (iterations, 'no checkpoint at' in error) == (0, True)
    path = tmp_path / 'epoch_1.pth'
    tensors = prefixed('backbone.', resnet())
    torch.save({'state_dict': tensors, 'meta': {}}, path)
    iterations, error = run(path)
    assert iterations == 0
    assert 'is not a backbone file: make one with' in error


def test_what_is_allowed_by_name_passes(run, weights):
    iterations, _ = run(
        weights(std=None),
        **{
            'model.backbone.frozen_stages': 1,
            'default_hooks.verify_transfer.allow_frozen': True,
            'default_hooks.verify_transfer.allow_unknown': True,
        },
    )
    assert iterations == 2


def test_a_resumed_training_is_let_through(run, weights, tmp_path):
    run(weights())
    # Its own weights have moved on from those of the file.
    iterations, log = run(
        weights(),
        resume=True,
        load_from=str(tmp_path / 'work' / 'epoch_1.pth'),
        **{'train_cfg.max_epochs': 2, 'work_dir': str(tmp_path / 'again')},
    )
    assert iterations == 2
    assert 'transfer not verified: the training is resumed' in log


def test_a_run_that_began_from_another_file_is_told_of(run, weights, tmp_path):
    again = {'resume': True, 'train_cfg.max_epochs': 2}
    run(weights())
    path = weights(lambda tensors: tensors['bn1.bias'].add_(1))
    # Both in one second would be one folder of logs.
    again['work_dir'] = str(tmp_path / 'again')
    again['load_from'] = str(tmp_path / 'work' / 'epoch_1.pth')
    iterations, log = run(path, **again)
    assert iterations == 2
    assert 'began from other weights (sha256 ' in log
    # What it began from is handed on.
    again['load_from'] = str(tmp_path / 'again' / 'epoch_2.pth')
    again['work_dir'] = str(tmp_path / 'more')
    again['train_cfg.max_epochs'] = 3
    assert 'began from other weights' in run(path, **again)[1]
    again['work_dir'] = str(tmp_path / 'same')
    assert 'of the run that is resumed' not in run(weights(), **again)[1]
    again['work_dir'] = str(tmp_path / 'pixels')
    again['model.data_preprocessor.bgr_to_rgb'] = False
    iterations, log = run(weights(), **again)
    assert iterations == 2
    assert 'of the run that is resumed:\n  - channel_order is bgr' in log


def initialise(runner):
    runner.model.backbone.conv1.reset_parameters()


def freeze(runner):
    runner.model.backbone.layer1.requires_grad_(False)


def stop_statistics(runner):
    runner.model.backbone.eval()


class Late(Hook):
    """Changes the model after it was verified."""

    priority = 'LOWEST'

    def __init__(self, point, change):
        setattr(self, point, lambda runner, **more: change(runner))


@pytest.mark.parametrize(
    ('point', 'change', 'message'),
    [
        ('before_train', initialise, '1 of 120 tensors are not those'),
        ('before_train_epoch', freeze, '12 pretrained parameters are frozen'),
        ('before_train_iter', stop_statistics, '20 batch norm layers would'),
    ],
)
def test_no_hook_changes_anything_unseen(run, weights, point, change, message):
    iterations, error = run(weights(), [Late(point, change)])
    assert iterations == 0
    assert 'otherwise at its first step' in error
    assert message in error


@TRANSFORMS.register_module()
class Divide(BaseTransform):
    def transform(self, results):
        results['img'] = results['img'] / 255
        return results


def divide(cfg):
    cfg.train_dataloader.dataset.pipeline.insert(3, {'type': 'Divide'})


def test_levels_that_a_transform_divides_are_seen(run, weights):
    iterations, error = run(weights(), change=divide)
    assert iterations == 0
    assert 'pixels of the first batch are from 0 to 0.7' in error


@MODELS.register_module()
class WithoutGradients(MaskRCNN):
    def extract_feat(self, images):
        with torch.no_grad():
            features = self.backbone(images)
        return self.neck(features)


@MODELS.register_module()
class WithoutStem(DetResNet):
    def forward(self, images):
        self.conv1.weight.requires_grad = False
        outputs = super().forward(images)
        self.conv1.weight.requires_grad = True
        return outputs


@pytest.mark.parametrize(
    ('key', 'name', 'words'),
    [
        ('model.type', 'WithoutGradients', '60 of 60 parameters'),
        (
            'model.backbone.type',
            'WithoutStem',
            '1 of 60 parameters of the backbone (conv1.weight) are still',
        ),
    ],
)
def test_what_no_gradient_reaches_is_named(run, weights, key, name, words):
    iterations, log = run(weights(), **{key: name})
    assert iterations == 2
    assert words in log
    assert 'no gradient reaches them' in log


def without_hook(cfg):
    del cfg.default_hooks.verify_transfer
    cfg.model.data_preprocessor.bgr_to_rgb = False


def load_whole(cfg):
    del cfg.default_hooks.verify_transfer
    cfg.load_from = cfg.model.backbone.init_cfg.checkpoint
    cfg.model.backbone.init_cfg = None


def test_a_config_by_hand_is_verified_too(run, weights):
    path = weights()
    iterations, error = run(path, change=without_hook)
    assert iterations == 0
    assert 'channel_order is bgr here and was rgb' in error
    iterations, error = run(path, change=load_whole)
    assert (iterations, 'does not load anything' in error) == (0, True)
    # Unless it is switched off by name.
    off = {'default_hooks.verify_transfer': None}
    iterations, log = run(path, **off)
    assert iterations == 2
    assert 'transfer verified' not in log


def test_what_is_not_compared_is_named(run, weights):
    path = weights()
    pyramid = {'type': 'Pretrained', 'checkpoint': str(path)}

    def change(cfg):
        del cfg.default_hooks.verify_transfer
        cfg.model.backbone.init_cfg = None
        cfg.model.neck.init_cfg = pyramid

    iterations, log = run(path, change=change)
    assert iterations == 2
    assert 'model.neck loads ' in log
    assert 'nothing compares the two' in log
