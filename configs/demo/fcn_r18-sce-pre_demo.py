"""FCN on the label maps of the demo's scenes, from the SCE backbone."""

_base_ = [
    '../_base_/segmentation/ssl_resnet.py',
    'mmseg::_base_/models/fcn_r50-d8.py',
    'mmseg::_base_/default_runtime.py',
]

data_root = 'work_dirs/demo/data/scenes/'
metainfo = dict(
    classes=('ground', *'0123456789'),
    palette=[[20 * i] * 3 for i in range(11)],
)

# Narrow everywhere: 128-pixel scenes, two CPU cores.
model = _base_.ssl_resnet
model.data_preprocessor = dict(size=(128, 128))
model.backbone.update(
    depth=18,
    base_channels=32,
    stem_channels=32,
    init_cfg=dict(type='Pretrained', checkpoint='work_dirs/demo/backbone.pth'),
)
model.decode_head = dict(in_channels=256, channels=64, num_classes=11)
model.auxiliary_head = dict(in_channels=128, channels=32, num_classes=11)

# No flips: a digit in the mirror is another sign.
dataset = dict(
    type='BaseSegDataset',
    data_root=data_root,
    img_suffix='.png',
    seg_map_suffix='.png',
    metainfo=metainfo,
    pipeline=[
        dict(type='LoadImageFromFile'),
        dict(type='LoadAnnotations'),
        dict(type='PackSegInputs'),
    ],
)
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        **dataset,
        data_prefix=dict(img_path='train', seg_map_path='train_maps'),
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        **dataset, data_prefix=dict(img_path='val', seg_map_path='val_maps')
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator

epochs = 30
train_cfg = dict(by_epoch=True, max_epochs=epochs, val_interval=epochs)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05),
    clip_grad=dict(max_norm=10),
)
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=0.01,
        by_epoch=True,
        end=2,
        convert_to_iter_based=True,
    ),
    dict(
        type='CosineAnnealingLR',
        begin=2,
        end=epochs,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
log_processor = dict(by_epoch=True)
default_hooks = dict(
    verify_transfer=dict(type='VerifyTransferHook'),
    logger=dict(type='LoggerHook', interval=10),
    checkpoint=dict(type='CheckpointHook', interval=epochs),
)
randomness = dict(seed=0)
