"""The same Mask R-CNN from random initialisation: nothing else differs."""

_base_ = './mask-rcnn_r18-sce-pre_fpn_demo.py'
model = dict(backbone=dict(init_cfg=None))
default_hooks = dict(verify_transfer=None)
