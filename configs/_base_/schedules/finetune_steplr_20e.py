# SGD on all layers, a fifth of the rate from epochs 12 and 16 on; the rate of
# the head is a multiple of that of the backbone.
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys={'head': dict(lr_mult=100.0)}),
)
param_scheduler = dict(type='MultiStepLR', milestones=[12, 16], gamma=0.2)
train_cfg = dict(by_epoch=True, max_epochs=20, val_interval=1)
val_cfg = dict()
test_cfg = dict()
