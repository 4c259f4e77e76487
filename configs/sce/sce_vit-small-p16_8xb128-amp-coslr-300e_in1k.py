"""SCE with a ViT-S/16 on ImageNet-1k: ours, not an experiment of the paper.

    tools/dist_train.sh \
        configs/sce/sce_vit-small-p16_8xb128-amp-coslr-300e_in1k.py 8

Loss, views, heads, queue and momentum encoder are those of the ImageNet
recipe. Ours: AdamW with lr 1.5e-4 for 256 images (6e-4), weight decay 0.1, 40
epochs of warm-up and a fixed patch projection, as MoCo v3 trains this network;
none of it was tuned for SCE.
"""

_base_ = [
    '../_base_/models/sce_vit-small-p16.py',
    '../_base_/datasets/imagenet_sce.py',
    '../_base_/schedules/adamw_coslr_300e.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(batch_size=128)
optim_wrapper = dict(type='AmpOptimWrapper', loss_scale='dynamic')
default_hooks = dict(checkpoint=dict(interval=10))
auto_scale_lr = dict(base_batch_size=1024)
