"""The same FCN from random initialisation: nothing else differs."""

_base_ = './fcn_r18-sce-pre_demo.py'
model = dict(backbone=dict(init_cfg=None))
default_hooks = dict(verify_transfer=None)
