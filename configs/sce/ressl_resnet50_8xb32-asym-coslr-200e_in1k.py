"""ReSSL on ImageNet-1k with its own recipe, as a setting of SCE, 200 epochs.

    tools/dist_train.sh \
        configs/sce/ressl_resnet50_8xb32-asym-coslr-200e_in1k.py 8

The positive is absent from the softmax of the target and of the prediction.
SGD with lr 0.05, weight decay 1e-4 but none on norms and biases, 5 epochs of
warm-up, cosine to zero; constant decay 0.999 of the momentum encoder; queue
131 072; 512 dimensions; temperatures 0.1 and 0.04; saturation 0.4: as in
ReSSL's code.
"""

_base_ = [
    '../_base_/models/sce_resnet50_asym.py',
    '../_base_/datasets/imagenet_sce_asym.py',
    '../_base_/schedules/sgd_coslr_200e.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(batch_size=32)
_base_.train_dataloader.dataset.pipeline[1].views[1].saturation = 0.4
model = dict(
    queue=dict(length=131072),
    neck=dict(out_channels=512),
    head=dict(
        loss=dict(
            coeff=0.0,
            relation_weight=1.0,
            ceiling_weight=0.0,
            target_temperature=0.04,
        )
    ),
)
_base_.default_hooks.momentum_update.momentum = 0.001
optim_wrapper = dict(
    constructor='TrainedOnlyConstructor',
    optimizer=dict(lr=0.05, weight_decay=1e-4),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
)
default_hooks = dict(checkpoint=dict(interval=10))
auto_scale_lr = dict(base_batch_size=256)
