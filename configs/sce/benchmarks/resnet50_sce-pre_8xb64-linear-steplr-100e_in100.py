"""Linear classification of ImageNet-100 on a frozen ResNet-50.

The protocol of resnet50_sce-pre_8xb64-linear-steplr-100e_in1k on 100 classes;
that it is the one of the paper's ablations is inferred. Not run here.
"""

_base_ = [
    '../../_base_/models/linear_resnet50.py',
    '../../_base_/datasets/imagenet100_eval.py',
    '../../_base_/schedules/linear_steplr_100e.py',
    '../../_base_/evaluation_runtime.py',
]

model = dict(head=dict(num_classes=100))
_base_.train_dataloader.batch_size = 64
auto_scale_lr = dict(base_batch_size=512)
