# CIFAR-10 for the asymmetric loss: weak view to the momentum branch, strong
# view to the online branch. The recipe takes the statistics over:
#     _base_.model.data_preprocessor.update(_base_.pixel_statistics)
_base_ = './folder_sce.py'

train_dataloader = dict(
    batch_size=256,
    dataset=dict(
        _delete_=True,
        type='CIFAR10BGR',
        data_root='data/cifar10',
        split='train',
        pipeline=[
            dict(
                type='SCEViews',
                views=[
                    dict(augmentation='weak', size=32, scale=(0.2, 1.0)),
                    dict(augmentation='strong', size=32, scale=(0.2, 1.0)),
                ],
            ),
            dict(type='PackInputs', meta_keys=('sample_idx',)),
        ],
    ),
)
# RGB, levels of 255: 0.4914 0.4822 0.4465 and 0.2023 0.1994 0.2010.
pixel_statistics = dict(
    mean=[125.307, 122.961, 113.8575], std=[51.5865, 50.847, 51.255]
)
