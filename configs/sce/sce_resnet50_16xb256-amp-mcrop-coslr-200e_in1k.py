"""Multi-crop SCE on ImageNet-1k: 2 x 224 + 192 + 160 + 128 + 96 pixels.

Reproduces 75.4 % linear top-1 (paper), and COCO 41.6 box, 36.0 mask AP with
Mask R-CNN R50-C4 2x. 16 GPUs on two machines, batch 4096. Not run here.
"""

_base_ = './sce_resnet50_8xb512-amp-coslr-200e_in1k.py'
_base_.train_dataloader.batch_size = 256
_base_.train_dataloader.dataset.pipeline[1].views += [
    dict(augmentation='strong_gamma', size=192, scale=(0.172, 0.86)),
    dict(augmentation='strong_gamma', size=160, scale=(0.143, 0.715)),
    dict(augmentation='strong_gamma', size=128, scale=(0.114, 0.571)),
    dict(augmentation='strong_gamma', size=96, scale=(0.086, 0.429)),
]
model = dict(neck=dict(hid_channels=4096))
