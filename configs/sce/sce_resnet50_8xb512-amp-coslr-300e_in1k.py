"""The 200-epoch recipe for 300 epochs: 73.3 % linear top-1 (paper).

Nothing but the number of epochs differs; the width of the projector and the
flip of the second view are as unverified as there.
"""

_base_ = './sce_resnet50_8xb512-amp-coslr-200e_in1k.py'
train_cfg = dict(max_epochs=300)
