"""SCE on ImageNet-100, ResNet-50, weak view to strong view, 200 epochs.

    tools/dist_train.sh \
        configs/sce/sce_resnet50_8xb64-amp-asym-coslr-200e_in100.py 8

The base of the ablations: configs/sce/README.md says which config or override
is which row. No run config was released. Unverified, all from memory: the
values of the ImageNet-1k recipe, which says what is inferred.
"""

_base_ = './sce_resnet50_8xb64-amp-asym-coslr-200e_in1k.py'
train_dataloader = dict(dataset=dict(type='ImageNet100'))
