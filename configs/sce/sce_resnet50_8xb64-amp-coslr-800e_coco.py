"""SCE on the images of COCO, no labels: ours, not an experiment of the paper.

    tools/dist_train.sh \
        configs/sce/sce_resnet50_8xb64-amp-coslr-800e_coco.py 8

The ImageNet recipe on the images that a detector will be trained on. Ours: lr
0.3 for 256 images (0.6), 800 epochs, and a queue of 16 384, for there are ten
times fewer images than in ImageNet and a queue should not hold one twice.
"""

_base_ = [
    '../_base_/models/sce_resnet50.py',
    '../_base_/datasets/coco_sce.py',
    '../_base_/schedules/lars_coslr_200e.py',
    '../_base_/default_runtime.py',
]

model = dict(queue=dict(length=16384))
train_dataloader = dict(batch_size=64)
optim_wrapper = dict(
    type='AmpOptimWrapper', loss_scale='dynamic', optimizer=dict(lr=0.6)
)
train_cfg = dict(max_epochs=800)
default_hooks = dict(checkpoint=dict(interval=20))
auto_scale_lr = dict(base_batch_size=512)
# Of 512 images, for --epochs auto: 800 epochs of COCO.
auto_epochs = dict(steps=185000)
