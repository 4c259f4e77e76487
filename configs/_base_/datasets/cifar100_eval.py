# CIFAR-100 with labels, as CIFAR-10.
_base_ = './cifar10_eval.py'

dataset = dict(type='CIFAR100BGR', data_root='data/cifar100')
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(dataset=dataset)
# RGB, levels of 255: 0.5071 0.4865 0.4409 and 0.2009 0.1984 0.2023.
pixel_statistics = dict(
    mean=[129.3105, 124.0575, 112.4295], std=[51.2295, 50.592, 51.5865]
)
