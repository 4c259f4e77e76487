# ImageNet-1k for the asymmetric loss (num_target_views=1): the weak view goes
# to the momentum branch, the strong one to the online branch, with the
# saturation of the released pair. That the paper's baseline used this pair is
# inferred. The stronger pair of the released code, weak and strong_gamma:
#     _base_.train_dataloader.dataset.pipeline[1].views[1].augmentation = \
#         'strong_gamma'
_base_ = './imagenet_sce.py'

_base_.train_dataloader.dataset.pipeline[1].views = [
    dict(augmentation='weak', size=224, scale=(0.2, 1.0)),
    dict(augmentation='strong', size=224, scale=(0.2, 1.0), saturation=0.2),
]
