# ResNet-50 with the heads of the ImageNet recipe, symmetric loss.
# zero_init_residual and the initialisation of the heads follow torchvision
# and the official code; mmpretrain's defaults differ.
model = dict(
    type='SCE',
    num_target_views=2,
    queue=dict(length=65536),
    data_preprocessor=dict(
        type='ViewPreprocessor',
        # No step waits for the copy of its images to a GPU.
        non_blocking=True,
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=True,
    ),
    backbone=dict(
        type='ResNet',
        depth=50,
        norm_cfg=dict(type='SyncBN'),
        zero_init_residual=False,
    ),
    neck=dict(
        type='NonLinearNeck',
        in_channels=2048,
        hid_channels=2048,
        out_channels=256,
        num_layers=3,
        with_last_bn_affine=False,
    ),
    head=dict(
        type='SCEHead',
        loss=dict(
            type='SCELoss',
            temperature=0.1,
            target_temperature=0.07,
            coeff=0.5,
        ),
        predictor=dict(
            type='NonLinearNeck',
            in_channels=256,
            hid_channels=4096,
            out_channels=256,
            with_last_bn=False,
            with_avg_pool=False,
        ),
    ),
)
