# Two strong views of ImageNet-1k: blur on one, solarisation on the other.
_base_ = './folder_sce.py'

train_dataloader = dict(
    batch_size=512,
    num_workers=8,
    dataset=dict(type='ImageNet1k', data_root='data/imagenet/', split='train'),
)
