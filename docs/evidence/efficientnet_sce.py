"""SCE of the comparisons on an EfficientNet-Lite0 of timm."""

_base_ = '../../configs/sce/sce_resnet18_1xb64-coslr-200e_folder.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmpretrain.TIMMBackbone',
        model_name='tf_efficientnet_lite0',
        features_only=True,
        out_indices=(4,),
    ),
    neck=dict(in_channels=320),
)
