# SGD without weight decay or warm-up, cosine to zero at every step.
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.4, momentum=0.9, weight_decay=0.0)
)
param_scheduler = dict(
    type='WarmupCosineLR', warmup_epochs=0, convert_to_iter_based=True
)
train_cfg = dict(by_epoch=True, max_epochs=90, val_interval=1)
val_cfg = dict()
test_cfg = dict()
