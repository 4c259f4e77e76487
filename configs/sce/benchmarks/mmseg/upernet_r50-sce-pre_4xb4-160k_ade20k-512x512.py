"""UPerNet R50 on ADE20K, 160,000 steps.

    tools/dist_train.sh CONFIG 4 --pretrained backbone.pth

4 GPUs x 4 images, lr 0.01, crops of 512 pixels: the schedule of mmseg's own
UPerNet with a ResNet-50. Nothing was measured here.
"""

_base_ = [
    '../../../_base_/segmentation/ssl_resnet.py',
    'mmseg::upernet/upernet_r50_4xb4-160k_ade20k-512x512.py',
]

model = _base_.ssl_resnet
default_hooks = dict(verify_transfer=dict(type='VerifyTransferHook'))
auto_scale_lr = dict(enable=False, base_batch_size=16)
