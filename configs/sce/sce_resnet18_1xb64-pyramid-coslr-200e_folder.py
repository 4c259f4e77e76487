"""SCE on a folder of scenes with the feature pyramid of a detector: ours.

    sce train sce_resnet18_1xb64-pyramid-coslr-200e_folder --data path/to/files

The dense recipe for a laptop, with an FPN behind the backbone, which the loss
between places trains too. backbone.pth has the FPN in it, and sce detector
loads it into a detector with the same one: make model.pyramid like the neck of
your detector. Needs mmdet.
"""

_base_ = './sce_resnet18_1xb64-dense-coslr-200e_folder.py'

model = dict(
    backbone=dict(out_indices=(0, 1, 2, 3)),
    pyramid=dict(
        type='mmdet.FPN',
        in_channels=[64, 128, 256, 512],
        out_channels=256,
        num_outs=4,
        norm_cfg=dict(type='BN', requires_grad=True),
    ),
    dense_neck=dict(in_channels=256),
)
