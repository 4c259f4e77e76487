# What every pretraining run has: our registrations, logs that a browser can
# follow, a bounded number of checkpoints, the momentum branch's update.
_base_ = 'mmpretrain::_base_/default_runtime.py'

custom_imports = dict(imports=['sce_mm'], allow_failed_imports=False)

default_hooks = dict(
    # Fetches what is logged from the device when it is logged.
    runtime_info=dict(type='DeferredRuntimeInfoHook'),
    logger=dict(interval=50),
    # load_from and init_cfg: every tensor of the file, or no training.
    initial_weights=dict(type='InitialWeightsHook'),
    # Whole or not there, and a run goes on from it to the last bit.
    checkpoint=dict(
        type='DurableCheckpointHook', interval=1, max_keep_ckpts=3
    ),
    # 0.01 falling to zero: a decay of 0.99 rising to 1 along a cosine.
    momentum_update=dict(type='MomentumUpdateHook'),
    # What a detector must know of the weights travels in the checkpoint.
    transfer_meta=dict(type='TransferMetaHook'),
    # The backbone of the newest checkpoint, for detectors: backbone.pth.
    backbone_file=dict(type='BackboneFileHook'),
    # On SIGTERM or Ctrl-C: save, exit with 75, see docs/running.md.
    preemption=dict(type='PreemptionHook'),
    # Stops before a step that is not finite; warns of a collapse.
    numerical_guard=dict(type='NumericalGuardHook'),
    collapse_monitor=dict(type='CollapseMonitorHook'),
)

visualizer = dict(
    # matplotlib is imported when something is drawn.
    type='DeferredVisualizer',
    vis_backends=[
        dict(type='LocalVisBackend'),
        dict(type='TensorboardVisBackend'),
    ],
)

randomness = dict(seed=42)
