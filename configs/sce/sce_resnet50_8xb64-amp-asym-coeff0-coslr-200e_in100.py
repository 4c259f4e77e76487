"""Ablation (coefficient, relation, ceiling) = (0, 1, 1): no InfoNCE term.

81.53 % linear top-1 (the paper as a third party quotes it). The positive has
no share of the target but stays in the prediction: this is not ReSSL.
"""

_base_ = './sce_resnet50_8xb64-amp-asym-coslr-200e_in100.py'
model = dict(head=dict(loss=dict(coeff=0.0)))
