"""ReSSL on ImageNet-100: the relational loss only.

The positive is absent from target and prediction. The target temperature is
that of the other ablations; ReSSL's own is 0.04.
"""

_base_ = './sce_resnet50_8xb64-amp-asym-coslr-200e_in100.py'
_base_.model.head.loss.update(
    coeff=0.0, relation_weight=1.0, ceiling_weight=0.0
)
