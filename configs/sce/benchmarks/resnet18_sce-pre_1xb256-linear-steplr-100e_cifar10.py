"""Linear classification of CIFAR-10 on a frozen ResNet-18 for small images.

One GPU, batch 256, lr 30, 100 epochs, a tenth of the rate from epochs 60 and
80 on, no weight decay: the protocol of the official code, whose figure is
that of the best epoch on the test images; last and best are reported. Command
in docs/evaluation.md. Not run here.
"""

_base_ = [
    '../../_base_/models/linear_resnet18_small.py',
    '../../_base_/datasets/cifar10_eval.py',
    '../../_base_/schedules/linear_steplr_100e.py',
    '../../_base_/evaluation_runtime.py',
]

_base_.model.data_preprocessor.update(_base_.pixel_statistics)
auto_scale_lr = dict(base_batch_size=256)
