# Mask R-CNN as weights of self-supervised learning need it. A config on it
# proves that the weights arrived, which no base can do beside mmdet's runtime:
# default_hooks = dict(verify_transfer=dict(type='VerifyTransferHook'))
_base_ = ['./ssl_fpn.py', 'mmdet::_base_/models/mask-rcnn_r50_fpn.py']

model = _base_.ssl_fpn
