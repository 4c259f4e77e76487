"""Mask R-CNN R50-FPN on COCO from a pretrained backbone, 12 epochs.

    tools/benchmarks/mmdet_train.sh CONFIG backbone.pth 8

8 GPUs x 2 images, lr 0.02, short side 640 to 800. The protocol of the
published comparisons of self-supervised methods; the paper reports C4, not
FPN, and nothing was measured here.
"""

_base_ = [
    '../../../_base_/detection/mask-rcnn_r50_fpn_ssl.py',
    'mmdet::_base_/datasets/coco_instance.py',
    'mmdet::_base_/schedules/schedule_1x.py',
    'mmdet::_base_/default_runtime.py',
]

default_hooks = dict(verify_transfer=dict(type='VerifyTransferHook'))

_base_.train_dataloader.dataset.pipeline[2] = dict(
    type='RandomResize', scale=[(1333, 640), (1333, 800)], keep_ratio=True
)
_base_.optim_wrapper.paramwise_cfg = dict(norm_decay_mult=0)
_base_.param_scheduler[0].end = 1000
