"""SCE on the tiles of the demo: a narrow ResNet-18, 40-pixel views, CPU.

    python tools/demo/run.py

Some thousand steps instead of the hundred thousands of a full recipe, and
all differences follow from that. A target that lags a hundred steps behind
teaches nothing in so short a run: the decay of the momentum branch rises from
0.5 to 0.98. Old keys of a network that changes so fast are told from new ones
by their age: the other keys of the batch are candidates too, the queue is
short. Crops keep most of the digit, a mirrored digit is another sign, and
strong jitter of colour keeps the backgrounds from being the answer.
"""

_base_ = [
    '../_base_/models/sce_resnet18.py',
    '../_base_/datasets/folder_sce.py',
    '../_base_/schedules/sgd_coslr_200e.py',
    '../_base_/default_runtime.py',
]

data_root = 'work_dirs/demo/data/'
size = 40

model = dict(
    queue=dict(length=256),
    backbone=dict(base_channels=32, stem_channels=32),
    neck=dict(
        in_channels=256,
        with_last_bn=True,
        with_last_bn_affine=False,
        with_last_bias=False,
    ),
    head=dict(in_batch_keys=True),
)

view = dict(
    augmentation='strong',
    size=size,
    scale=(0.35, 1.0),
    brightness=0.6,
    contrast=0.6,
    saturation=0.6,
    hue=0.5,
    grey_prob=0.3,
    blur_prob=0.1,
    flip_prob=0.0,
)
_base_.train_dataloader.dataset.pipeline[1].views = [view, view]
train_dataloader = dict(
    num_workers=1, dataset=dict(data_root=data_root + 'unlabelled')
)


def labelled(part):
    """Tiles with a class each, for the kNN evaluation alone."""
    return dict(
        batch_size=250,
        num_workers=0,
        dataset=dict(
            type='CustomDataset',
            data_root=data_root + 'knn',
            test_mode=True,
            data_prefix=part,
            ann_file=part + '.txt',
            pipeline=[
                dict(type='LoadImage'),
                dict(type='Resize', scale=(size, size)),
                dict(type='PackInputs'),
            ],
        ),
    )


_base_.default_hooks.momentum_update.momentum = dict(
    kind='cosine', start=0.5, end=0.02
)
_base_.default_hooks.online_knn = dict(
    type='OnlineKNNHook',
    bank=labelled('bank'),
    query=labelled('query'),
    interval=4,
)
_base_.default_hooks.logger.interval = 10

epochs = 16
optim_wrapper = dict(type='BF16OptimWrapper', optimizer=dict(lr=0.05))
_base_.train_cfg.max_epochs = epochs
_base_.param_scheduler.warmup_epochs = 1
auto_scale_lr = dict(base_batch_size=64)
