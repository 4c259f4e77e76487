# ImageNet-1k, two views of 224 pixels and four local crops.
_base_ = './imagenet_sce.py'

_base_.train_dataloader.dataset.pipeline[1].views += [
    dict(augmentation='strong_gamma', size=192, scale=(0.172, 0.86)),
    dict(augmentation='strong_gamma', size=160, scale=(0.143, 0.715)),
    dict(augmentation='strong_gamma', size=128, scale=(0.114, 0.571)),
    dict(augmentation='strong_gamma', size=96, scale=(0.086, 0.429)),
]
