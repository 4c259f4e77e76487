"""The models whose steps are compared, with the same networks in all."""

from __future__ import annotations

from mmengine.logging import MessageHub
from mmpretrain.registry import MODELS
from torch import nn

import sce_mm  # noqa: F401  (registers the model)

QUEUE, WIDTH = 65536, 256
SETTINGS = {
    'resnet18-32': dict(
        backbone=dict(type='ResNet_CIFAR', depth=18),
        features=512,
        batch=128,
        pixels=32,
    ),
    'resnet50-224': dict(
        backbone=dict(type='ResNet', depth=50, zero_init_residual=False),
        features=2048,
        batch=8,
        pixels=224,
    ),
}


def neck(setting: dict) -> dict:
    """Projector of the ImageNet recipe, narrowed to the backbone."""
    return dict(
        type='NonLinearNeck',
        in_channels=setting['features'],
        hid_channels=setting['features'],
        out_channels=WIDTH,
        num_layers=3,
        with_last_bn_affine=False,
        norm_cfg=dict(type='BN1d'),
    )


def predictor(setting: dict) -> dict:
    """Predictor of the ImageNet recipe, narrowed to the backbone."""
    return dict(
        type='NonLinearNeck',
        in_channels=WIDTH,
        hid_channels=setting['features'],
        out_channels=WIDTH,
        with_last_bn=False,
        with_avg_pool=False,
        norm_cfg=dict(type='BN1d'),
    )


def sce(setting: dict) -> nn.Module:
    """The whole algorithm, symmetric."""
    return MODELS.build(
        dict(
            type='SCE',
            backbone=setting['backbone'],
            neck=neck(setting),
            head=dict(
                type='SCEHead',
                loss=dict(type='SCELoss', official_zero_logit=True),
                predictor=predictor(setting),
            ),
            queue=dict(length=QUEUE),
        )
    )


def moco_v3(setting: dict) -> nn.Module:
    """mmpretrain's MoCo v3 with the same networks."""
    MessageHub.get_current_instance().update_info('max_iters', 1000)
    return MODELS.build(
        dict(
            type='MoCoV3',
            backbone=setting['backbone'],
            neck=neck(setting),
            head=dict(
                type='MoCoV3Head',
                predictor=predictor(setting),
                loss=dict(type='CrossEntropyLoss', loss_weight=2.0),
            ),
        )
    )


def moco_v2(setting: dict) -> nn.Module:
    """mmpretrain's MoCo v2 with the same networks, except the predictor."""
    return MODELS.build(
        dict(
            type='MoCo',
            queue_len=QUEUE,
            feat_dim=WIDTH,
            backbone=setting['backbone'],
            neck=neck(setting),
            head=dict(
                type='ContrastiveHead', loss=dict(type='CrossEntropyLoss')
            ),
        )
    )
