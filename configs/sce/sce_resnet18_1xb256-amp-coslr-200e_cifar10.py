"""SCE on CIFAR-10, ResNet-18 for small images, weak view to strong view.

    sce train sce_resnet18_1xb256-amp-coslr-200e_cifar10

SGD with lr 0.06, weight decay 5e-4 on all parameters, 5 epochs of warm-up,
cosine to zero; constant decay 0.99 of the momentum encoder; queue 4096;
temperatures 0.1 and 0.05; coefficient 0.5; batch norm of the momentum branch
as on 8 devices: as in the official code.
"""

_base_ = [
    '../_base_/models/sce_resnet18_small.py',
    '../_base_/datasets/cifar10_sce.py',
    '../_base_/schedules/sgd_coslr_200e.py',
    '../_base_/default_runtime.py',
]

_base_.model.data_preprocessor.update(_base_.pixel_statistics)
_base_.default_hooks.momentum_update.momentum = 0.01
optim_wrapper = dict(type='AmpOptimWrapper', loss_scale='dynamic')
default_hooks = dict(checkpoint=dict(interval=10))
auto_scale_lr = dict(base_batch_size=256)
