# Tiny-ImageNet with labels, 64 pixels, by the lists that sce tiny-imagenet
# writes; otherwise as CIFAR-10. As with torchvision, the EXIF tag turns no
# image.
_base_ = './cifar10_eval.py'

load = dict(type='LoadImage', apply_orientation=False)
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='CustomDataset',
        data_root='data/tiny-imagenet-200',
        data_prefix='train',
        ann_file='meta/train.txt',
        pipeline=[
            load,
            dict(type='RandomCrop', crop_size=64, padding=4),
            dict(type='RandomFlip', prob=0.5, direction='horizontal'),
            dict(type='PackInputs'),
        ],
    )
)
validation = dict(
    _delete_=True,
    type='CustomDataset',
    data_root='data/tiny-imagenet-200',
    data_prefix='val',
    ann_file='meta/val.txt',
    test_mode=True,
    pipeline=[load, dict(type='PackInputs')],
)
val_dataloader = dict(dataset=validation)
test_dataloader = dict(dataset=validation)
# ImageNet's, as in the pretraining.
pixel_statistics = dict(
    mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]
)
