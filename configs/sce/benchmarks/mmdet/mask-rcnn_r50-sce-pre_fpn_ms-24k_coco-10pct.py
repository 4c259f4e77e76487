"""Mask R-CNN R50-FPN on a tenth of the labels of COCO, 24,000 steps.

    sce coco-subset data/coco/annotations/instances_train2017.json
    tools/benchmarks/mmdet_train.sh CONFIG backbone.pth 8

8 GPUs x 2 images, lr 0.02. The lengths of these schedules are our own, there
being no agreed ones; other subsets: --cfg-options
train_dataloader.dataset.ann_file=annotations/subsets/instances_train2017.1@10.json
(seed 1). Nothing was measured here.
"""

_base_ = './mask-rcnn_r50-sce-pre_fpn_ms-1x_coco.py'

_base_.train_dataloader.dataset.ann_file = (
    'annotations/subsets/instances_train2017.0@10.json'
)
_base_.train_dataloader.sampler.type = 'InfiniteSampler'
_base_.train_cfg = dict(
    type='IterBasedTrainLoop', max_iters=24000, val_interval=3000
)
_base_.param_scheduler[1].by_epoch = False
_base_.param_scheduler[1].end = 24000
_base_.param_scheduler[1].milestones = [16000, 22000]
_base_.default_hooks.checkpoint.by_epoch = False
_base_.default_hooks.checkpoint.interval = 3000
_base_.log_processor.by_epoch = False
