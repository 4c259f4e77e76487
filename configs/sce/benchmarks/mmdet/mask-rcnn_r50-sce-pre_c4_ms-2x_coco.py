"""Mask R-CNN R50-C4 on COCO from a pretrained backbone, 24 epochs, steps."""

_base_ = './mask-rcnn_r50-sce-pre_c4_ms-1x_coco.py'
_base_.train_cfg.max_epochs = _base_.param_scheduler[1].end = 24
_base_.param_scheduler[1].milestones = [16, 22]
