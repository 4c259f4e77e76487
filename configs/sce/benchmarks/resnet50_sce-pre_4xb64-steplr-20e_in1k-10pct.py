"""Semi-supervised ImageNet-1k: all layers trained on 10 % of the labels."""

_base_ = './resnet50_sce-pre_4xb64-steplr-20e_in1k-1pct.py'
_base_.train_dataloader.dataset.ann_file = 'meta/train_10percent.txt'
