"""The linear evaluation of MoCo on ImageNet-1k: batch 512, lr 30, 100 epochs.

The first released code of SCE has it beside the protocol of the paper's
tables, probably for the baselines (inferred). Not run here.
"""

_base_ = [
    '../../_base_/models/linear_resnet50.py',
    '../../_base_/datasets/imagenet_eval.py',
    '../../_base_/schedules/linear_steplr_100e.py',
    '../../_base_/evaluation_runtime.py',
]

_base_.train_dataloader.batch_size = 64
auto_scale_lr = dict(base_batch_size=512)
