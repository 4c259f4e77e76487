"""SCE on a folder of images of your own: ResNet-18, a laptop or one GPU.

    sce train sce_resnet18_1xb64-coslr-200e_folder --data path/to/images

The CIFAR-10 recipe of the official code (weak view to the momentum branch,
strong view to the online branch, SGD, constant momentum) on crops of 128
pixels with ResNet's own stem and plain batch norm. Ours, for few images on
processor cores: crops of 0.3 or more, twice the rate that 64 images would get,
and convolutions over channels last.
"""

_base_ = [
    '../_base_/models/sce_resnet18.py',
    '../_base_/datasets/folder_sce.py',
    '../_base_/schedules/sgd_coslr_200e.py',
    '../_base_/default_runtime.py',
]

_base_.train_dataloader.dataset.pipeline[1].views = [
    dict(augmentation='weak', size=128, scale=(0.3, 1.0)),
    dict(augmentation='strong', size=128, scale=(0.3, 1.0)),
]
_base_.train_dataloader.num_workers = 2
_base_.default_hooks.momentum_update.momentum = 0.01

# Less work for the convolutions of a processor.
model = dict(channels_last=True)

# Twice what 0.06 for 256 images gives.
optim_wrapper = dict(optimizer=dict(lr=0.03))
auto_scale_lr = dict(base_batch_size=64)
# Of 64 images, for --epochs auto: a choice for processor cores.
auto_epochs = dict(steps=20000)
