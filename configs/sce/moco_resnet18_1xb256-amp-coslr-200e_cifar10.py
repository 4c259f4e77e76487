"""MoCo on CIFAR-10: InfoNCE only, without the relational loss."""

_base_ = './sce_resnet18_1xb256-amp-coslr-200e_cifar10.py'
model = dict(head=dict(loss=dict(coeff=1.0)))
