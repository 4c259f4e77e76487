"""SCE on ImageNet-1k, ResNet-50, two views of 224 pixels, 200 epochs.

    tools/dist_train.sh \
        configs/sce/sce_resnet50_8xb512-amp-coslr-200e_in1k.py 8

LARS with lr 0.3 for 256 images (4.8), weight decay 1e-6, 10 epochs of warm-up,
cosine to zero; decay of the momentum encoder 0.99 to 1 along a cosine; queue
65 536; temperatures 0.1 and 0.07; coefficient 0.5: as in the official code.
Unverified: width 2048 of the projector is that of the first released code; the
later library has 4096, and which one gave the published figure could not be
established. The first code lacks the flip of the second view in the two-crop
setting; it is taken for a mistake.
"""

_base_ = [
    '../_base_/models/sce_resnet50.py',
    '../_base_/datasets/imagenet_sce.py',
    '../_base_/schedules/lars_coslr_200e.py',
    '../_base_/default_runtime.py',
]

optim_wrapper = dict(type='AmpOptimWrapper', loss_scale='dynamic')
default_hooks = dict(checkpoint=dict(interval=10))
auto_scale_lr = dict(base_batch_size=4096)
