"""SCE with a ConvNeXt-T on ImageNet-1k: ours, not an experiment of the paper.

    tools/dist_train.sh \
        configs/sce/sce_convnext-tiny_8xb128-amp-coslr-300e_in1k.py 8

Loss, views, heads, queue and momentum encoder are those of the ImageNet
recipe. Ours: AdamW with lr 1e-3, weight decay 0.05, 20 epochs of warm-up and
gradients clipped at norm 5, near the supervised recipe of this network (4e-3
for 4096 images); none of it was tuned for SCE.
"""

_base_ = [
    '../_base_/models/sce_convnext-tiny.py',
    '../_base_/datasets/imagenet_sce.py',
    '../_base_/schedules/adamw_coslr_300e.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(batch_size=128)
optim_wrapper = dict(
    type='AmpOptimWrapper',
    loss_scale='dynamic',
    optimizer=dict(lr=1e-3, weight_decay=0.05),
    clip_grad=dict(max_norm=5.0),
)
param_scheduler = dict(warmup_epochs=20)
default_hooks = dict(checkpoint=dict(interval=10))
auto_scale_lr = dict(base_batch_size=1024)
