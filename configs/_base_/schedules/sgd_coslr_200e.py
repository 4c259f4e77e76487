# SGD, 5 epochs of linear warm-up, cosine to zero, both per step.
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.06, momentum=0.9, weight_decay=5e-4)
)
param_scheduler = dict(
    type='WarmupCosineLR', warmup_epochs=5, convert_to_iter_based=True
)
train_cfg = dict(type='ResumableTrainLoop', max_epochs=200)
