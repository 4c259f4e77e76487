"""The 200-epoch recipe for 100 epochs, with lr 0.6 for 256 images (9.6)."""

_base_ = './sce_resnet50_8xb512-amp-coslr-200e_in1k.py'
train_cfg = dict(max_epochs=100)
optim_wrapper = dict(optimizer=dict(lr=9.6))
