# ViT-S/16 with the heads of the ImageNet recipe. Patch projection and
# position embedding stay as they were drawn, as MoCo v3 found necessary.
_base_ = './sce_resnet50.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='MoCoV3ViT',
        arch='deit-small',
        img_size=224,
        patch_size=16,
        stop_grad_conv1=True,
    ),
    # The class token is a vector: there is nothing to pool.
    neck=dict(in_channels=384, hid_channels=4096, with_avg_pool=False),
)
