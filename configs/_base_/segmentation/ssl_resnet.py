# What weights of self-supervised learning change in a segmentor of mmseg with
# a ResNet: its stem is one convolution, not the three of ResNetV1c, nothing
# else is loaded, and nothing is frozen. Dilations, norms and pixel statistics
# are those of mmseg's bases. A config on this file and one of mmseg says
# `model = _base_.ssl_resnet`, and proves that the weights arrived:
# default_hooks = dict(verify_transfer=dict(type='VerifyTransferHook'))
custom_imports = dict(
    imports=['sce_mm.segmentation'], allow_failed_imports=False
)

ssl_resnet = dict(
    pretrained=None,
    backbone=dict(
        type='ResNet',
        frozen_stages=-1,
        init_cfg=dict(type='Pretrained', checkpoint='backbone.pth'),
    ),
)
