"""MoCo on ImageNet-100: InfoNCE only, without the relational loss.

The target temperature has no influence.
"""

_base_ = './sce_resnet50_8xb64-amp-asym-coslr-200e_in100.py'
model = dict(head=dict(loss=dict(coeff=1.0)))
