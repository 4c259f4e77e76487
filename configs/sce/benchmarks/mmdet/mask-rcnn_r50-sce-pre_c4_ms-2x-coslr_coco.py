"""Mask R-CNN R50-C4 on COCO from a pretrained backbone, 24 epochs, cosine.

The paper reports 41.6 box and 36.0 mask AP for "2x" (180,000 iterations; this
file makes 24 epochs, 175,920) from the multi-crop weights.
"""

_base_ = './mask-rcnn_r50-sce-pre_c4_ms-1x-coslr_coco.py'
_base_.train_cfg.max_epochs = _base_.param_scheduler[1].end = 24
