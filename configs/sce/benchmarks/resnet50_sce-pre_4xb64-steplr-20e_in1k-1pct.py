"""Semi-supervised ImageNet-1k: all layers trained on 1 % of the labels.

OpenMMLab's protocol (batch 256 on 4 GPUs, 20 epochs, rate times 0.2 at 12 and
16), on the lists of SimCLR. The protocol chooses among lr 0.1, 0.01, 0.001
and 1, 10, 100 times that for the head: docs/evaluation.md has the loop; what
stands here is the middle of it, not a result of a search. No figure of SCE is
known, and nothing was run here.

    tools/dist_train.sh \
        configs/sce/benchmarks/resnet50_sce-pre_4xb64-steplr-20e_in1k-1pct.py \
        4 --pretrained work_dirs/run/epoch_200.pth
"""

_base_ = [
    '../../_base_/models/linear_resnet50.py',
    '../../_base_/datasets/imagenet_eval.py',
    '../../_base_/schedules/finetune_steplr_20e.py',
    '../../_base_/evaluation_runtime.py',
]

model = dict(
    backbone=dict(
        frozen_stages=-1, norm_eval=False, norm_cfg=dict(type='SyncBN')
    )
)
train_dataloader = dict(
    batch_size=64,
    # OpenMMLab's protocol trains on the rest of a batch too.
    drop_last=False,
    dataset=dict(ann_file='meta/train_1percent.txt', data_prefix='train'),
)
_base_.default_hooks.pretrained_backbone.frozen = False
auto_scale_lr = dict(base_batch_size=256)
