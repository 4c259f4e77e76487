# What training a classifier on pretrained weights has: strict loading, and
# the last epoch reported beside the best.
_base_ = 'mmpretrain::_base_/default_runtime.py'

custom_imports = dict(imports=['sce_mm'], allow_failed_imports=False)

default_hooks = dict(
    checkpoint=dict(
        interval=1,
        max_keep_ckpts=1,
        save_best='accuracy/top1',
        rule='greater',
    ),
    # Frozen: the hook checks that no weight of the backbone moves.
    pretrained_backbone=dict(
        type='PretrainedBackboneHook', checkpoint='backbone.pth', frozen=True
    ),
    best_and_last=dict(type='BestAndLastHook', metrics=('accuracy/top1',)),
)
randomness = dict(seed=42)
