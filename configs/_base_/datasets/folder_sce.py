# Any folder of images, no labels: set data_root, or sce train --data.
# A list of files instead of a folder: ann_file='list.txt', one path a line,
# relative to data_root.
train_dataloader = dict(
    batch_size=64,
    num_workers=4,
    persistent_workers=True,
    drop_last=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='SeededSampler', shuffle=True),
    dataset=dict(
        type='UnlabelledImages',
        data_root='data/images',
        pipeline=[
            dict(type='LoadImage'),
            dict(
                type='SCEViews',
                views=[
                    dict(
                        augmentation='strong_alpha',
                        size=224,
                        scale=(0.2, 1.0),
                    ),
                    dict(
                        augmentation='strong_beta',
                        size=224,
                        scale=(0.2, 1.0),
                    ),
                ],
            ),
            dict(type='PackInputs', meta_keys=('img_path', 'sample_idx')),
        ],
    ),
)
