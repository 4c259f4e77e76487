# ImageNet-1k with labels: crops of 8 to 100 % of the area and flips to train,
# shorter side 256 and centre crop 224 to validate. As with torchvision, Pillow
# resizes and the EXIF tag turns no image. A rest of a batch is no step.
load = dict(type='LoadImage', apply_orientation=False)
train_dataloader = dict(
    batch_size=128,
    drop_last=True,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='ImageNet1k',
        data_root='data/imagenet/',
        split='train',
        pipeline=[
            load,
            dict(
                type='RandomResizedCrop',
                scale=224,
                crop_ratio_range=(0.08, 1.0),
                backend='pillow',
            ),
            dict(type='RandomFlip', prob=0.5, direction='horizontal'),
            dict(type='PackInputs'),
        ],
    ),
)
val_dataloader = dict(
    batch_size=128,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ImageNet1k',
        data_root='data/imagenet/',
        split='val',
        pipeline=[
            load,
            dict(type='ResizeEdge', scale=256, edge='short', backend='pillow'),
            dict(type='CenterCrop', crop_size=224),
            dict(type='PackInputs'),
        ],
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='Accuracy', topk=(1, 5))
test_evaluator = val_evaluator
