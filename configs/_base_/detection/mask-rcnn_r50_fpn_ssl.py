# Mask R-CNN as weights of self-supervised learning need it, and proof that
# the weights arrived.
_base_ = ['./ssl_fpn.py', 'mmdet::_base_/models/mask-rcnn_r50_fpn.py']

model = _base_.ssl_fpn
custom_hooks = [dict(type='VerifyTransferHook')]
