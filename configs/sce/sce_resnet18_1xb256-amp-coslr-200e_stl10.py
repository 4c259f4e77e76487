"""SCE on the unlabelled images of STL-10, ResNet-18, 64 pixels.

    sce train sce_resnet18_1xb256-amp-coslr-200e_stl10

No run config was released. Unverified, from memory: views of 64 pixels, lr
0.06, weight decay 5e-4, constant decay 0.996 of the momentum encoder, queue
16 384. Inferred: all else is as for CIFAR-10.
"""

_base_ = [
    '../_base_/models/sce_resnet18_small.py',
    '../_base_/datasets/stl10_sce.py',
    '../_base_/schedules/sgd_coslr_200e.py',
    '../_base_/default_runtime.py',
]

model = dict(queue=dict(length=16384))
_base_.model.data_preprocessor.update(_base_.pixel_statistics)
_base_.default_hooks.momentum_update.momentum = 0.004
optim_wrapper = dict(type='AmpOptimWrapper', loss_scale='dynamic')
default_hooks = dict(checkpoint=dict(interval=10))
auto_scale_lr = dict(base_batch_size=256)
