"""Linear classification of ImageNet-1k: the protocol of the paper's tables.

Frozen ResNet-50 of the online branch, one linear layer, 90 epochs in float32,
batch 1024 on 8 GPUs, lr 0.4 with a cosine to zero at every step, no weight
decay. Gives 72.1 to 75.4 % top-1 for the published pretrainings (paper; there
the best epoch counts; last and best are reported). Not run here.

    tools/dist_train.sh \
      configs/sce/benchmarks/resnet50_sce-pre_8xb128-linear-coslr-90e_in1k.py \
      8 --pretrained work_dirs/run/epoch_200.pth
"""

_base_ = [
    '../../_base_/models/linear_resnet50.py',
    '../../_base_/datasets/imagenet_eval.py',
    '../../_base_/schedules/linear_coslr_90e.py',
    '../../_base_/evaluation_runtime.py',
]

auto_scale_lr = dict(base_batch_size=1024)
