# AdamW for transformers, 40 epochs of linear warm-up, cosine to zero, both
# per step; no decay of vectors. The rate is 1.5e-4 for 256 images.
_base_ = './lars_coslr_200e.py'

optim_wrapper = dict(
    constructor='TrainedOnlyConstructor',
    optimizer=dict(_delete_=True, type='AdamW', lr=6e-4, weight_decay=0.1),
    paramwise_cfg=dict(
        norm_decay_mult=0.0, bias_decay_mult=0.0, flat_decay_mult=0.0
    ),
)
param_scheduler = dict(warmup_epochs=40)
train_cfg = dict(max_epochs=300)
