"""The 200-epoch recipe for 1000 epochs, with weight decay 1.5e-6."""

_base_ = './sce_resnet50_8xb512-amp-coslr-200e_in1k.py'
train_cfg = dict(max_epochs=1000)
optim_wrapper = dict(optimizer=dict(weight_decay=1.5e-6))
