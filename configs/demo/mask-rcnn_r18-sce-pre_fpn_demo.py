"""Mask R-CNN on the scenes of the demo, from the SCE backbone."""

_base_ = [
    '../_base_/detection/mask-rcnn_r50_fpn_ssl.py',
    'mmdet::_base_/datasets/coco_instance.py',
    'mmdet::_base_/default_runtime.py',
]

data_root = 'work_dirs/demo/data/scenes/'
metainfo = dict(classes=tuple('0123456789'))

# Narrow everywhere: 128-pixel scenes, two CPU cores.
model = dict(
    backbone=dict(
        depth=18,
        base_channels=32,
        stem_channels=32,
        init_cfg=dict(checkpoint='work_dirs/demo/backbone.pth'),
    ),
    neck=dict(in_channels=[32, 64, 128, 256], out_channels=64),
    rpn_head=dict(
        in_channels=64, feat_channels=64, anchor_generator=dict(scales=[6])
    ),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=64),
        mask_roi_extractor=dict(out_channels=64),
        bbox_head=dict(
            type='Shared2FCBBoxHead',
            in_channels=64,
            fc_out_channels=256,
            num_classes=10,
            conv_out_channels=64,
        ),
        mask_head=dict(
            in_channels=64, conv_out_channels=64, num_convs=2, num_classes=10
        ),
    ),
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=300, max_per_img=150),
        rcnn=dict(sampler=dict(num=64)),
    ),
    test_cfg=dict(
        rpn=dict(nms_pre=300, max_per_img=100), rcnn=dict(max_per_img=30)
    ),
)

# No flips: a digit in the mirror is another sign.
load = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    # Changes nothing, but predictions are scaled by what it notes.
    dict(type='Resize', scale=(128, 128)),
]
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        data_root=data_root,
        ann_file='train.json',
        data_prefix=dict(img='train/'),
        metainfo=metainfo,
        pipeline=[*load, dict(type='PackDetInputs')],
    ),
)
val_dataloader = dict(
    batch_size=4,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        data_root=data_root,
        ann_file='val.json',
        data_prefix=dict(img='val/'),
        metainfo=metainfo,
        pipeline=[
            *load,
            dict(
                type='PackDetInputs',
                meta_keys=(
                    'img_id',
                    'img_path',
                    'ori_shape',
                    'img_shape',
                    'scale_factor',
                ),
            ),
        ],
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'val.json')
test_evaluator = val_evaluator

epochs = 30
train_cfg = dict(by_epoch=True, max_epochs=epochs, val_interval=epochs)
val_cfg = dict()
test_cfg = dict()
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
default_hooks = dict(
    verify_transfer=dict(type='VerifyTransferHook'),
    logger=dict(interval=10),
    checkpoint=dict(interval=epochs),
)
randomness = dict(seed=0)
