"""Linear classification of STL-10 on a frozen ResNet-18 for small images.

The protocol of CIFAR-10; that it holds here is inferred. Not run here.
"""

_base_ = [
    '../../_base_/models/linear_resnet18_small.py',
    '../../_base_/datasets/stl10_eval.py',
    '../../_base_/schedules/linear_steplr_100e.py',
    '../../_base_/evaluation_runtime.py',
]

_base_.model.data_preprocessor.update(_base_.pixel_statistics)
auto_scale_lr = dict(base_batch_size=256)
