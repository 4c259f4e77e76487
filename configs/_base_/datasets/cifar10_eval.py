# CIFAR-10 with labels: crops of 32 pixels from images padded by 4 and flips to
# train, images as they are to validate, which is on the test images. A rest of
# a batch is no step: at a rate of 30 it would spoil the validation after it.
# The recipe takes the statistics over:
#     _base_.model.data_preprocessor.update(_base_.pixel_statistics)
train_dataloader = dict(
    batch_size=256,
    drop_last=True,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='CIFAR10BGR',
        data_root='data/cifar10',
        split='train',
        pipeline=[
            dict(type='RandomCrop', crop_size=32, padding=4),
            dict(type='RandomFlip', prob=0.5, direction='horizontal'),
            dict(type='PackInputs'),
        ],
    ),
)
val_dataloader = dict(
    batch_size=256,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='CIFAR10BGR',
        data_root='data/cifar10',
        split='test',
        test_mode=True,
        pipeline=[dict(type='PackInputs')],
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='Accuracy', topk=(1, 5))
test_evaluator = val_evaluator
# RGB, levels of 255: 0.4914 0.4822 0.4465 and 0.2023 0.1994 0.2010.
pixel_statistics = dict(
    mean=[125.307, 122.961, 113.8575], std=[51.5865, 50.847, 51.255]
)
