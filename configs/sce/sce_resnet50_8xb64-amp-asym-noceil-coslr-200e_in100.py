"""Ablation (InfoNCE, ReSSL, Ceil) = (0.5, 0.5, 0): no ceiling term."""

_base_ = './sce_resnet50_8xb64-amp-asym-coslr-200e_in100.py'
model = dict(head=dict(loss=dict(ceiling_weight=0.0)))
