# Tiny-ImageNet, views as for CIFAR-10 but of 64 pixels (unverified, from
# memory). The released code has no statistics for it: ImageNet's, which the
# models' base has.
_base_ = './folder_sce.py'

train_dataloader = dict(
    batch_size=256,
    dataset=dict(data_root='data/tiny-imagenet-200/train'),
)
_base_.train_dataloader.dataset.pipeline[1].views = [
    dict(augmentation='weak', size=64, scale=(0.2, 1.0)),
    dict(augmentation='strong', size=64, scale=(0.2, 1.0)),
]
