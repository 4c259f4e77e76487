"""SCE on a folder of scenes, between views and between places of them: ours.

    sce train sce_resnet18_1xb64-dense-coslr-200e_folder --data path/to/images

The recipe for a laptop, with the same loss between places that both views
show, in the last feature map (4 x 4 cells). For views of 64 pixels take the
stage before it: 'model.backbone.out_indices=(2,3)' model.dense_head.level=0
model.dense_neck.in_channels=256, in a shell with these quotes.
"""

_base_ = './sce_resnet18_1xb64-coslr-200e_folder.py'

model = dict(
    dense_neck=dict(
        type='NonLinearNeck',
        in_channels=512,
        hid_channels=512,
        out_channels=128,
        with_last_bn=False,
        with_last_bias=True,
        with_avg_pool=False,
    ),
    dense_head=dict(
        type='DenseSCEHead',
        loss=dict(type='SCELoss', target_temperature=0.05),
    ),
    dense_queue=dict(length=8192),
)
_base_.train_dataloader.dataset.pipeline[2].meta_keys = (
    'img_path',
    'sample_idx',
    'view_boxes',
)
