# Mask R-CNN on a plain ViT-S/16, for sce detector: mmdet has no config of one.
# Pyramid, AdamW, the rate for 64 images and weight decay are those of ViTDet;
# its attention within windows, rates by layers and large images are left out.
_base_ = 'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py'

custom_imports = dict(imports=['sce_mm.detection'], allow_failed_imports=False)
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmpretrain.VisionTransformer',
        arch='deit-small',
        img_size=224,
        patch_size=16,
        out_type='featmap',
        drop_path_rate=0.1,
    ),
    neck=dict(
        _delete_=True,
        type='SimpleFeaturePyramid',
        in_channels=384,
        out_channels=256,
    ),
)
optim_wrapper = dict(
    optimizer=dict(
        _delete_=True,
        type='AdamW',
        lr=1e-4,
        betas=(0.9, 0.999),
        weight_decay=0.1,
    ),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        custom_keys=dict(pos_embed=dict(decay_mult=0.0)),
    ),
)
auto_scale_lr = dict(base_batch_size=64)
