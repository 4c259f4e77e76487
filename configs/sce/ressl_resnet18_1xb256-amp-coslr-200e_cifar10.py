"""ReSSL on CIFAR-10: the relational loss only."""

_base_ = './sce_resnet18_1xb256-amp-coslr-200e_cifar10.py'
_base_.model.head.loss.update(
    coeff=0.0, relation_weight=1.0, ceiling_weight=0.0
)
