"""RetinaNet R50-FPN on COCO from a pretrained backbone, 12 epochs.

    tools/benchmarks/mmdet_train.sh CONFIG backbone.pth 8

8 GPUs x 2 images, lr 0.01, short side 800. Nothing was measured here.
"""

_base_ = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'

custom_imports = dict(imports=['sce_mm.detection'], allow_failed_imports=False)
default_hooks = dict(verify_transfer=dict(type='VerifyTransferHook'))

norm_cfg = dict(type='SyncBN', requires_grad=True)
model = dict(
    backbone=dict(
        frozen_stages=-1,
        norm_cfg=norm_cfg,
        norm_eval=False,
        init_cfg=dict(checkpoint='backbone.pth'),
    ),
    neck=dict(norm_cfg=norm_cfg),
    # One head for five levels: statistics of a batch would mix them.
    bbox_head=dict(norm_cfg=dict(type='GN', num_groups=32)),
)

_base_.optim_wrapper.paramwise_cfg = dict(norm_decay_mult=0)
_base_.param_scheduler[0].end = 1000
