"""Faster R-CNN for two processor cores, for sce compare.

Half the width of a ResNet-18, images of 320 pixels, 64 proposals of an image,
twenty epochs. The numbers are ours; docs/transfer.md says what came out.
"""

_base_ = 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'

model = dict(
    backbone=dict(depth=18, base_channels=32, stem_channels=32),
    neck=dict(in_channels=[32, 64, 128, 256], out_channels=64),
    rpn_head=dict(
        in_channels=64, feat_channels=64, anchor_generator=dict(scales=[4])
    ),
    roi_head=dict(
        bbox_roi_extractor=dict(
            out_channels=64, roi_layer=dict(sampling_ratio=2)
        ),
        bbox_head=dict(in_channels=64, fc_out_channels=256),
    ),
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=500, max_per_img=300),
        rcnn=dict(sampler=dict(num=64)),
    ),
    test_cfg=dict(rpn=dict(nms_pre=500, max_per_img=300)),
)

_base_.train_dataloader.dataset.pipeline[2].scale = (320, 240)
for loader in (_base_.val_dataloader, _base_.test_dataloader):
    loader.dataset.pipeline[1].scale = (320, 240)
    loader.num_workers = 0
    loader.persistent_workers = False
train_dataloader = dict(batch_size=4, num_workers=0, persistent_workers=False)

epochs = 20
train_cfg = dict(max_epochs=epochs, val_interval=epochs)
_base_.optim_wrapper.optimizer = dict(type='AdamW', lr=1e-3, weight_decay=0.05)
optim_wrapper = dict(clip_grad=dict(max_norm=10))
_base_.param_scheduler[0].end = 20
_base_.param_scheduler[1] = dict(
    type='CosineAnnealingLR',
    end=epochs,
    by_epoch=True,
    convert_to_iter_based=True,
)
auto_scale_lr = dict(base_batch_size=4)
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(interval=5))
