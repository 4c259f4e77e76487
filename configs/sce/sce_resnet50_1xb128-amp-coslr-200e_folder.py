"""SCE on a folder of images of your own: ResNet-50, one GPU.

    sce train sce_resnet50_1xb128-amp-coslr-200e_folder --data path/to/images

The two-crop ImageNet recipe of the paper with its learning rate scaled from
4096 to 128 images and a queue of 128 steps. Views 2 x 224, symmetric loss. For
fewer than some ten thousand images more epochs are worth more than a longer
queue.
"""

_base_ = [
    '../_base_/models/sce_resnet50.py',
    '../_base_/datasets/folder_sce.py',
    '../_base_/schedules/lars_coslr_200e.py',
    '../_base_/default_runtime.py',
]

model = dict(queue=dict(length=32768))
train_dataloader = dict(batch_size=128)
# 0.3 for 256 images.
optim_wrapper = dict(
    type='AmpOptimWrapper', loss_scale='dynamic', optimizer=dict(lr=0.15)
)
auto_scale_lr = dict(base_batch_size=128)
# Of 128 images, for --epochs auto: as many images as 200 epochs of
# ImageNet-100.
auto_epochs = dict(steps=200000)
