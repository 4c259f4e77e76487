"""SCE on small labelled images, to compare settings on a processor.

    sce sweep sce_resnet18_ladder work_dirs/ladder --seeds 0 1 2 \
        --setting InfoNCE model.head.loss.coeff=1 \
        --setting SCE model.head.loss.coeff=0.5

The CIFAR-10 recipe (weak view to the momentum branch, strong view to the
online branch) for a processor: ResNet's own stem on views of 32 pixels, half
the width, 12 epochs instead of 200, bfloat16. It stands beside no number of
the paper; docs/reproduce.md has what came out on a subset of CIFAR-10. Images
lie in data/small/train/CLASS and data/small/test/CLASS; pretraining does not
look at the classes.
"""

_base_ = [
    '../_base_/models/sce_resnet18.py',
    '../_base_/datasets/folder_sce.py',
    '../_base_/schedules/sgd_coslr_200e.py',
    '../_base_/default_runtime.py',
]

data_root = 'data/small/'
size = 32

model = dict(
    data_preprocessor=dict(
        mean=[125.307, 122.961, 113.8575], std=[51.5865, 50.847, 51.255]
    ),
    backbone=dict(base_channels=32, stem_channels=32),
    neck=dict(in_channels=256, hid_channels=256),
)
_base_.train_dataloader.batch_size = 256
_base_.train_dataloader.num_workers = 1
_base_.train_dataloader.dataset.data_root = data_root + 'train'
_base_.train_dataloader.dataset.pipeline[1].views = [
    dict(augmentation='weak', size=size, scale=(0.2, 1.0)),
    dict(augmentation='strong', size=size, scale=(0.2, 1.0)),
]


def labelled(part):
    """Images with their classes, for the kNN evaluation alone."""
    return dict(
        batch_size=500,
        num_workers=0,
        dataset=dict(
            type='CustomDataset',
            data_root=data_root + part,
            test_mode=True,
            pipeline=[
                dict(type='LoadImage'),
                dict(type='Resize', scale=(size, size)),
                dict(type='PackInputs'),
            ],
        ),
    )


_base_.default_hooks.momentum_update.momentum = 0.01
_base_.default_hooks.online_knn = dict(
    type='OnlineKNNHook',
    bank=labelled('train'),
    query=labelled('test'),
    interval=10,
)
_base_.default_hooks.logger.interval = 10

optim_wrapper = dict(type='BF16OptimWrapper')
_base_.train_cfg.max_epochs = 12
_base_.param_scheduler.warmup_epochs = 1
auto_scale_lr = dict(base_batch_size=256)
