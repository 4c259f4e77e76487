"""Mask R-CNN R50-FPN on a hundredth of the labels of COCO, 9,000 steps."""

_base_ = './mask-rcnn_r50-sce-pre_fpn_ms-24k_coco-10pct.py'

_base_.train_dataloader.dataset.ann_file = (
    'annotations/subsets/instances_train2017.0@1.json'
)
_base_.train_cfg.max_iters = _base_.param_scheduler[1].end = 9000
_base_.param_scheduler[1].milestones = [6000, 8000]
