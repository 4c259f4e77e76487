# ImageNet-100 with labels: 100 classes of ImageNet-1k, seen in the same way.
_base_ = './imagenet_eval.py'

train_dataloader = dict(dataset=dict(type='ImageNet100'))
val_dataloader = dict(dataset=dict(type='ImageNet100'))
test_dataloader = dict(dataset=dict(type='ImageNet100'))
