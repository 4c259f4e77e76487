"""Multi-crop SCE on ImageNet-1k: 2 x 224 + 192 + 160 + 128 + 96 pixels.

    GPUS=16 tools/slurm_train.sh PARTITION JOB \
        configs/sce/sce_resnet50_16xb256-amp-mcrop-coslr-200e_in1k.py WORK_DIR

The 200-epoch recipe with four local crops, which learn from both global views:
ten pairs, all of one weight. Width 4096 of the projector, in both released
code bases.
"""

_base_ = [
    '../_base_/models/sce_resnet50.py',
    '../_base_/datasets/imagenet_sce_mcrop.py',
    '../_base_/schedules/lars_coslr_200e.py',
    '../_base_/default_runtime.py',
]

model = dict(neck=dict(hid_channels=4096))
train_dataloader = dict(batch_size=256)
optim_wrapper = dict(type='AmpOptimWrapper', loss_scale='dynamic')
default_hooks = dict(checkpoint=dict(interval=10))
auto_scale_lr = dict(base_batch_size=4096)
