# ResNet-18 with the heads of the CIFAR recipe: two-layer projector whose last
# layer has a bias and no norm, no predictor, asymmetric loss.
_base_ = './sce_resnet50.py'

model = dict(
    num_target_views=1,
    queue=dict(length=4096),
    backbone=dict(depth=18),
    neck=dict(
        in_channels=512,
        hid_channels=512,
        out_channels=128,
        num_layers=2,
        with_last_bn=False,
        with_last_bias=True,
    ),
    head=dict(loss=dict(target_temperature=0.05), predictor=None),
)
