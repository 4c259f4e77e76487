# Mask R-CNN as weights of self-supervised learning need it: nothing frozen,
# batch norm trained (synchronised where there are several GPUs) and also in
# the pyramid and the heads, and proof that the weights arrived. Pixel
# statistics and strides are those of mmdet's base.
_base_ = 'mmdet::_base_/models/mask-rcnn_r50_fpn.py'

custom_imports = dict(imports=['sce_mm.detection'], allow_failed_imports=False)

norm_cfg = dict(type='SyncBN', requires_grad=True)

model = dict(
    backbone=dict(
        frozen_stages=-1,
        norm_cfg=norm_cfg,
        norm_eval=False,
        init_cfg=dict(
            _delete_=True, type='Pretrained', checkpoint='backbone.pth'
        ),
    ),
    neck=dict(norm_cfg=norm_cfg),
    roi_head=dict(
        bbox_head=dict(
            type='Shared4Conv1FCBBoxHead',
            conv_out_channels=256,
            norm_cfg=norm_cfg,
        ),
        mask_head=dict(norm_cfg=norm_cfg),
    ),
)
custom_hooks = [dict(type='VerifyTransferHook')]
