"""SCE on the images of COCO with the feature pyramid of a detector: ours.

    tools/dist_train.sh \
        configs/sce/sce_resnet50_8xb64-amp-pyramid-coslr-800e_coco.py 8

The dense recipe for COCO, with an FPN behind the backbone, as Faster and Mask
R-CNN have it. backbone.pth has the FPN in it, and sce detector loads it into a
detector with the same one. Needs mmdet. Not an experiment of the paper.
"""

_base_ = './sce_resnet50_8xb64-amp-dense-coslr-800e_coco.py'

model = dict(
    backbone=dict(out_indices=(0, 1, 2, 3)),
    pyramid=dict(
        type='mmdet.FPN',
        in_channels=[256, 512, 1024, 2048],
        out_channels=256,
        num_outs=4,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
    ),
    dense_neck=dict(in_channels=256),
)
