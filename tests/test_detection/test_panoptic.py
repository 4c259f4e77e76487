"""Instances and semantic regions from one network and one backbone file."""

import pytest
from mmdet.registry import MODELS
from mmdet.testing import demo_mm_inputs
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DefaultScope

from sce_mm.transfer import extract_backbone, read_checkpoint
from sce_mm.transfer.verify.verify import VerifyOptions, verify_transfer

pytestmark = pytest.mark.integration


def test_panoptic_fpn_learns_both_kinds_from_the_weights(root, backbone_file):
    name = 'panoptic-fpn_r50-sce-pre_fpn_1x_coco.py'
    cfg = Config.fromfile(root / 'configs/sce/benchmarks/mmdet' / name)
    path = str(backbone_file(16))
    small = {
        'backbone': {'depth': 18, 'base_channels': 16},
        'neck': {'in_channels': [16, 32, 64, 128], 'out_channels': 32},
        'rpn_head': {'in_channels': 32, 'feat_channels': 32},
        'roi_head': {
            'bbox_roi_extractor': {'out_channels': 32},
            'mask_roi_extractor': {'out_channels': 32},
            'bbox_head': {'in_channels': 32, 'fc_out_channels': 32},
            'mask_head': {'in_channels': 32, 'conv_out_channels': 32},
        },
        'semantic_head': {'in_channels': 32, 'inner_channels': 32},
        'train_cfg': {'rpn_proposal': {'nms_pre': 50, 'max_per_img': 20}},
        'test_cfg': {'rcnn': {'score_thr': 0.0}},
    }
    cfg.merge_from_dict({'model': small})
    cfg.model.backbone.init_cfg.checkpoint = path
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = revert_sync_batchnorm(MODELS.build(cfg.model))
    model.init_weights()
    backbone = extract_backbone(read_checkpoint(path))
    result = verify_transfer(model, backbone, cfg, [], VerifyOptions())
    assert result.problems == ()
    assert len(result.load.loaded) == len(backbone.weights)

    data = demo_mm_inputs(
        2,
        image_shapes=[(3, 64, 64), (3, 64, 64)],
        num_classes=80,
        num_items=[2, 2],
        with_mask=True,
        with_semantic=True,
    )
    batch = model.data_preprocessor(data, True)
    losses, log = model.parse_losses(model(**batch, mode='loss'))
    assert {'loss_seg', 'loss_mask', 'loss_cls', 'loss_rpn_cls'} <= set(log)
    losses.backward()
    assert model.backbone.conv1.weight.grad.abs().sum() > 0
    assert model.semantic_head.conv_logits.weight.grad.abs().sum() > 0
