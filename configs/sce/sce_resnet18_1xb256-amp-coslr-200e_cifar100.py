"""SCE on CIFAR-100, ResNet-18 for small images, weak view to strong view.

    sce train sce_resnet18_1xb256-amp-coslr-200e_cifar100

Inferred: the recipe is that of CIFAR-10 with the pixel statistics of
CIFAR-100. No run config was released.
"""

_base_ = [
    '../_base_/models/sce_resnet18_small.py',
    '../_base_/datasets/cifar100_sce.py',
    '../_base_/schedules/sgd_coslr_200e.py',
    '../_base_/default_runtime.py',
]

_base_.model.data_preprocessor.update(_base_.pixel_statistics)
_base_.default_hooks.momentum_update.momentum = 0.01
optim_wrapper = dict(type='AmpOptimWrapper', loss_scale='dynamic')
default_hooks = dict(checkpoint=dict(interval=10))
auto_scale_lr = dict(base_batch_size=256)
