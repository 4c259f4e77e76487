"""FCN R50-d8 on Cityscapes, 40,000 steps.

    tools/dist_train.sh CONFIG 4 --pretrained backbone.pth

4 GPUs x 2 images, lr 0.01, crops of 769 pixels. The protocol of MMSelfSup,
whose config keeps a stem of three convolutions that no such weights fill.
Nothing was measured here.
"""

_base_ = [
    '../../../_base_/segmentation/ssl_resnet.py',
    'mmseg::fcn/fcn_r50-d8_4xb2-40k_cityscapes-769x769.py',
]

model = _base_.ssl_resnet
default_hooks = dict(verify_transfer=dict(type='VerifyTransferHook'))
auto_scale_lr = dict(enable=False, base_batch_size=8)
