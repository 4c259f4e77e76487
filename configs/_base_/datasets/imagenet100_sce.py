# ImageNet-100: 100 classes of the folders of ImageNet-1k, views as in
# imagenet_sce_asym.py (unverified for this data set as well).
_base_ = './imagenet_sce_asym.py'

train_dataloader = dict(dataset=dict(type='ImageNet100'))
