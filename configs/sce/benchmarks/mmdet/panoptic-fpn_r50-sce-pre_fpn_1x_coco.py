"""Panoptic FPN R50 on COCO from a pretrained backbone, 12 epochs.

    tools/benchmarks/mmdet_train.sh CONFIG backbone.pth 8

Instances (80 classes), semantic regions (53 more) and their union from one
network. 8 GPUs x 2 images, lr 0.02. The data set needs panopticapi, which
mmdet does not bring along. Nothing was measured here.
"""

_base_ = [
    '../../../_base_/detection/ssl_fpn.py',
    'mmdet::panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py',
]

model = _base_.ssl_fpn
default_hooks = dict(verify_transfer=dict(type='VerifyTransferHook'))

_base_.optim_wrapper.paramwise_cfg = dict(norm_decay_mult=0)
_base_.param_scheduler[0].end = 1000
