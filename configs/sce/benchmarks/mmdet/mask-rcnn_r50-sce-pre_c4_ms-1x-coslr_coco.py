"""Mask R-CNN R50-C4 on COCO from a pretrained backbone, 12 epochs, cosine.

    tools/benchmarks/mmdet_train.sh CONFIG backbone.pth 8

The detection recipe of the code that the SCE authors name: lr 0.05 on a
cosine, 10,000 iterations of warm-up, short side 640 to 880, long side 1200.
It differs from MoCo's in these; whether the authors kept them is not known.
Nothing was measured here.
"""

_base_ = './mask-rcnn_r50-sce-pre_c4_ms-1x_coco.py'

_base_.train_dataloader.dataset.pipeline[2].scales = [
    (1200, side) for side in (640, 672, 704, 736, 768, 800, 832, 864, 880)
]
_base_.optim_wrapper.optimizer.lr = 0.05
# One factor times the other: the cosine begins with the warm-up, not after.
_base_.param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1e-4,
        by_epoch=False,
        begin=0,
        end=10000,
    ),
    dict(
        type='CosineAnnealingLR',
        by_epoch=True,
        begin=0,
        end=12,
        convert_to_iter_based=True,
    ),
]
