# SGD without weight decay, a tenth of the rate from epochs 60 and 80 on.
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=30.0, momentum=0.9, weight_decay=0.0)
)
param_scheduler = dict(type='MultiStepLR', milestones=[60, 80], gamma=0.1)
train_cfg = dict(by_epoch=True, max_epochs=100, val_interval=1)
val_cfg = dict()
test_cfg = dict()
