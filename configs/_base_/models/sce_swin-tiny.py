# Swin-T with the heads of the ImageNet recipe. No stochastic depth: the
# momentum branch runs in training mode and would drop blocks as well.
_base_ = './sce_resnet50.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='SwinTransformer',
        arch='tiny',
        img_size=224,
        drop_path_rate=0.0,
    ),
    neck=dict(in_channels=768, hid_channels=4096),
)
