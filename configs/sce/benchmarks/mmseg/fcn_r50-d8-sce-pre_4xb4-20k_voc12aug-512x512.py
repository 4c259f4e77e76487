"""FCN R50-d8 on VOC 2012 with its augmented labels, 20,000 steps.

    tools/dist_train.sh CONFIG 4 --pretrained backbone.pth

4 GPUs x 4 images, lr 0.01, crops of 512 pixels. The protocol of MMSelfSup,
whose config keeps a stem of three convolutions that no such weights fill.
Nothing was measured here.
"""

_base_ = [
    '../../../_base_/segmentation/ssl_resnet.py',
    'mmseg::fcn/fcn_r50-d8_4xb4-20k_voc12aug-512x512.py',
]

model = _base_.ssl_resnet
default_hooks = dict(verify_transfer=dict(type='VerifyTransferHook'))
auto_scale_lr = dict(enable=False, base_batch_size=16)
