"""The 200-epoch recipe for 300 epochs."""

_base_ = './sce_resnet50_8xb512-amp-coslr-200e_in1k.py'
train_cfg = dict(max_epochs=300)
