# The same on a ResNet-18 for small images: 3 x 3 stem without pooling.
_base_ = './linear_resnet50.py'

model = dict(
    backbone=dict(type='ResNet_CIFAR', depth=18),
    head=dict(num_classes=10, in_channels=512),
)
