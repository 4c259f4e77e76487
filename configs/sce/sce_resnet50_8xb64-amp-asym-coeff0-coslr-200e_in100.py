"""Ablation (InfoNCE, ReSSL, Ceil) = (0, 1, 1): no positive in the target.

The positive stays in the prediction, which makes this differ from ReSSL.
"""

_base_ = './sce_resnet50_8xb64-amp-asym-coslr-200e_in100.py'
model = dict(head=dict(loss=dict(coeff=0.0)))
