# ResNet-18 as in the CIFAR recipe: a first convolution of 3 x 3 with stride 1,
# no max pooling, and batch norm of the momentum branch as on 8 devices.
_base_ = './sce_resnet18.py'

model = dict(
    shuffle_bn=dict(simulated_devices=8),
    backbone=dict(type='ResNet_CIFAR', norm_cfg=dict(type='BN')),
    neck=dict(norm_cfg=dict(type='BN1d')),
)
