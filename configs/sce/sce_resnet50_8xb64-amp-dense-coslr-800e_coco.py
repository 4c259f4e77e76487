"""SCE on the images of COCO between views and between places of them: ours.

    tools/dist_train.sh \
        configs/sce/sce_resnet50_8xb64-amp-dense-coslr-800e_coco.py 8

The recipe for COCO, with the same loss between places that both views show, in
the last feature map (7 x 7 cells): 4 x 4 points an image, four of them in each
target view give keys to a queue that holds eight steps of them. Not an
experiment of the paper.
"""

_base_ = './sce_resnet50_8xb64-amp-coslr-800e_coco.py'

model = dict(
    dense_neck=dict(
        type='NonLinearNeck',
        in_channels=2048,
        hid_channels=2048,
        out_channels=128,
        with_last_bn_affine=False,
        with_avg_pool=False,
    ),
    dense_head=dict(
        type='DenseSCEHead',
        loss=dict(type='SCELoss'),
        predictor=dict(
            type='NonLinearNeck',
            in_channels=128,
            hid_channels=2048,
            out_channels=128,
            with_last_bn=False,
            with_avg_pool=False,
        ),
    ),
    dense_queue=dict(length=32768),
)
_base_.train_dataloader.dataset.pipeline[2].meta_keys = (
    'img_path',
    'sample_idx',
    'view_boxes',
)
