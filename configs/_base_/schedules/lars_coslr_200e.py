# LARS, 10 epochs of linear warm-up, cosine to zero, both per step.
optim_wrapper = dict(
    optimizer=dict(type='LARSMoCoV3', lr=4.8, momentum=0.9, weight_decay=1e-6)
)
param_scheduler = dict(
    type='WarmupCosineLR', warmup_epochs=10, convert_to_iter_based=True
)
train_cfg = dict(type='ResumableTrainLoop', max_epochs=200)
