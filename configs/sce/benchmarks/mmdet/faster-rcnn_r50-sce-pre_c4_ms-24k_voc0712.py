"""Faster R-CNN R50-C4 on VOC07+12 from a pretrained backbone, 24,000 steps.

    tools/benchmarks/mmdet_train.sh CONFIG backbone.pth 8

The protocol that MoCo introduced: trainval of 2007 and 2012, test of 2007, 8
GPUs x 2 images, lr 0.02 divided by ten at 18,000 and 22,000, 100 steps of
warm-up, short side 480 to 800, norms without weight decay. AP is the mean over
IoU 0.5 to 0.95 of eleven-point averages. Nothing was measured here.
"""

_base_ = [
    '../../../_base_/detection/ssl_c4.py',
    'mmdet::pascal_voc/faster-rcnn_r50-caffe-c4_ms-18k_voc0712.py',
]

model = _base_.ssl_c4
default_hooks = dict(
    verify_transfer=dict(type='VerifyTransferHook'),
    precise_bn=dict(type='DetPreciseBNHook', interval=3000),
)

# Only this key distinguishes the years, and mmengine refuses to
# concatenate data sets that differ.
_base_.train_dataloader.dataset.ignore_keys = ['dataset_type']
_base_.val_evaluator.iou_thrs = [iou / 100 for iou in range(50, 100, 5)]
_base_.test_evaluator = _base_.val_evaluator

_base_.optim_wrapper.paramwise_cfg = dict(norm_decay_mult=0)
_base_.param_scheduler[0].end = 100
_base_.train_cfg.max_iters = _base_.param_scheduler[1].end = 24000
_base_.param_scheduler[1].milestones = [18000, 22000]
