# ResNet-50 as in MoCo v2 and ReSSL: weak view to the momentum branch, strong
# view to the online branch, shuffled batch norm, a two-layer projector with
# biases and without norm, no predictor. The shape of the projector is that of
# a head in the official code which no released run uses.
_base_ = './sce_resnet50.py'

model = dict(
    num_target_views=1,
    shuffle_bn=dict(simulated_devices=8),
    backbone=dict(norm_cfg=dict(type='BN')),
    neck=dict(
        _delete_=True,
        type='MoCoV2Neck',
        in_channels=2048,
        hid_channels=4096,
        out_channels=256,
    ),
    head=dict(loss=dict(target_temperature=0.05), predictor=None),
)
