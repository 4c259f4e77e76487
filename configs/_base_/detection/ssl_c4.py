# What weights of self-supervised learning change in an R-CNN of the C4 kind:
# nothing frozen, batch norm trained (synchronised where there are several
# GPUs), one more norm after the last stage, and that stage, which is the head
# here, loaded as well. mmdet's bases are for Caffe weights: BGR pixels without
# a std, strides in the 1x1 convolutions. A config beside this file and a model
# of mmdet says `model = _base_.ssl_c4`.
custom_imports = dict(imports=['sce_mm.detection'], allow_failed_imports=False)

ssl_norm = dict(type='SyncBN', requires_grad=True)
ssl_init = dict(type='Pretrained', checkpoint='backbone.pth')

ssl_c4 = dict(
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
    ),
    backbone=dict(
        frozen_stages=-1,
        norm_cfg=ssl_norm,
        norm_eval=False,
        style='pytorch',
        init_cfg=ssl_init,
    ),
    roi_head=dict(
        shared_head=dict(
            type='ResLayerExtraNorm',
            norm_cfg=ssl_norm,
            norm_eval=False,
            style='pytorch',
            init_cfg=ssl_init,
        ),
    ),
)
