# STL-10, the 100 000 images without labels, views as for CIFAR-10 but of 64
# pixels (unverified, from memory).
_base_ = './cifar10_sce.py'

train_dataloader = dict(
    dataset=dict(type='STL10', data_root='data/stl10', split='unlabeled')
)
_base_.train_dataloader.dataset.pipeline[0].views[0].size = 64
_base_.train_dataloader.dataset.pipeline[0].views[1].size = 64
# RGB, levels of 255: 0.4914 0.4822 0.4465 and 0.2471 0.2435 0.2616.
pixel_statistics = dict(
    mean=[125.307, 122.961, 113.8575], std=[63.0105, 62.0925, 66.708]
)
