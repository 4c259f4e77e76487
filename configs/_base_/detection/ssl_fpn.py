# What weights of self-supervised learning change in an R-CNN on a feature
# pyramid: nothing frozen, batch norm trained (synchronised where there are
# several GPUs) and also in the pyramid and the heads. Pixel statistics and
# strides are those of mmdet's bases. A config beside this file and a model of
# mmdet says `model = _base_.ssl_fpn`.
custom_imports = dict(imports=['sce_mm.detection'], allow_failed_imports=False)

ssl_norm = dict(type='SyncBN', requires_grad=True)

ssl_fpn = dict(
    backbone=dict(
        frozen_stages=-1,
        norm_cfg=ssl_norm,
        norm_eval=False,
        init_cfg=dict(
            _delete_=True, type='Pretrained', checkpoint='backbone.pth'
        ),
    ),
    neck=dict(norm_cfg=ssl_norm),
    roi_head=dict(
        bbox_head=dict(
            type='Shared4Conv1FCBBoxHead',
            conv_out_channels=256,
            norm_cfg=ssl_norm,
        ),
        mask_head=dict(norm_cfg=ssl_norm),
    ),
)
