# ImageNet-1k for the asymmetric loss (num_target_views=1): the weak view goes
# to the momentum branch, the strong one to the online branch. That the paper's
# baseline used these two is unverified (from memory); the released code has
# the same pair with saturation=0.2. Its stronger pair, weak and strong_gamma:
#     _base_.train_dataloader.dataset.pipeline[1].views[1].augmentation = \
#         'strong_gamma'
_base_ = './imagenet_sce.py'

_base_.train_dataloader.dataset.pipeline[1].views = [
    dict(augmentation='weak', size=224, scale=(0.2, 1.0)),
    dict(augmentation='strong', size=224, scale=(0.2, 1.0)),
]
