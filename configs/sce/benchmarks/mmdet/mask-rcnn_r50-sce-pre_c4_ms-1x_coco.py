"""Mask R-CNN R50-C4 on COCO from a pretrained backbone, 12 epochs, steps.

    tools/benchmarks/mmdet_train.sh CONFIG backbone.pth 8

The protocol that MoCo introduced: 8 GPUs x 2 images, lr 0.02 in steps, short
side 640 to 800, extra norm after the last stage, synchronised batch norm
everywhere, nothing frozen, norms without weight decay. MoCo counts 90,000
iterations, this file 12 epochs (87,960). Warm-up takes 1000 iterations, and
statistics before an evaluation are of 200 batches: defaults of detectron2.
Nothing was measured here.
"""

_base_ = [
    '../../../_base_/detection/ssl_c4.py',
    'mmdet::_base_/models/mask-rcnn_r50-caffe-c4.py',
    'mmdet::_base_/datasets/coco_instance.py',
    'mmdet::_base_/schedules/schedule_1x.py',
    'mmdet::_base_/default_runtime.py',
]

model = _base_.ssl_c4
default_hooks = dict(
    verify_transfer=dict(type='VerifyTransferHook'),
    precise_bn=dict(type='DetPreciseBNHook'),
)

_base_.train_dataloader.dataset.pipeline[2] = dict(
    type='RandomChoiceResize',
    scales=[(1333, side) for side in (640, 672, 704, 736, 768, 800)],
    keep_ratio=True,
)
_base_.optim_wrapper.paramwise_cfg = dict(norm_decay_mult=0)
_base_.param_scheduler[0].end = 1000
