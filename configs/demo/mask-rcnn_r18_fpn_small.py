"""The Faster R-CNN for two processor cores, with masks."""

_base_ = './faster-rcnn_r18_fpn_small.py'

model = dict(
    type='MaskRCNN',
    roi_head=dict(
        mask_roi_extractor=dict(
            type='SingleRoIExtractor',
            roi_layer=dict(type='RoIAlign', output_size=14, sampling_ratio=2),
            out_channels=64,
            featmap_strides=[4, 8, 16, 32],
        ),
        mask_head=dict(
            type='FCNMaskHead',
            num_convs=2,
            in_channels=64,
            conv_out_channels=64,
            num_classes=80,
            loss_mask=dict(
                type='CrossEntropyLoss', use_mask=True, loss_weight=1.0
            ),
        ),
    ),
    train_cfg=dict(rcnn=dict(mask_size=28)),
    test_cfg=dict(rcnn=dict(mask_thr_binary=0.5)),
)

_base_.train_dataloader.dataset.pipeline[1].with_mask = True
for loader in (_base_.val_dataloader, _base_.test_dataloader):
    loader.dataset.pipeline[2].with_mask = True
for evaluator in (_base_.val_evaluator, _base_.test_evaluator):
    evaluator.metric = ['bbox', 'segm']
