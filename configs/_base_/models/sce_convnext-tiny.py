# ConvNeXt-T with the heads of the ImageNet recipe. No stochastic depth: the
# momentum branch runs in training mode and would drop blocks as well. The last
# norm sees the map and the neck pools, as detectors have that norm on maps.
_base_ = './sce_resnet50.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='ConvNeXt',
        arch='tiny',
        out_indices=(3,),
        drop_path_rate=0.0,
        gap_before_final_norm=False,
    ),
    neck=dict(in_channels=768, hid_channels=4096),
)
