"""SCE on ImageNet-1k, asymmetric: weak view to strong view, 200 epochs.

    tools/dist_train.sh \
        configs/sce/sce_resnet50_8xb64-amp-asym-coslr-200e_in1k.py 8

No run config of this experiment was released. Unverified, all from memory:
SGD, batch 512, lr 0.3 (if it is meant for 256 images, 0.6), weight decay 1e-4,
5 epochs of warm-up, queue 65 536, constant decay 0.999 of the momentum
encoder, temperatures 0.1 and 0.05, coefficient 0.5, projector 2048-4096-256.
Inferred: shuffled batch norm, the default of the official class and the
practice of MoCo and ReSSL; weight decay on all parameters; half precision.
"""

_base_ = [
    '../_base_/models/sce_resnet50_asym.py',
    '../_base_/datasets/imagenet_sce_asym.py',
    '../_base_/schedules/sgd_coslr_200e.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(batch_size=64)
_base_.default_hooks.momentum_update.momentum = 0.001
optim_wrapper = dict(
    type='AmpOptimWrapper',
    loss_scale='dynamic',
    optimizer=dict(lr=0.3, weight_decay=1e-4),
)
default_hooks = dict(checkpoint=dict(interval=10))
auto_scale_lr = dict(base_batch_size=512)
