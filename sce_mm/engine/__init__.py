"""How is a model trained? Loops, hooks, optimisers and schedules."""

from .hooks import (
    BestAndLastHook,
    CollapseMonitorHook,
    DeferredRuntimeInfoHook,
    DurableCheckpointHook,
    InitialWeightsHook,
    MomentumUpdateHook,
    NumericalGuardHook,
    OnlineKNNHook,
    PreemptionHook,
    PretrainedBackboneHook,
    ScheduledValueHook,
    TransferMetaHook,
    VerifyTransferHook,
)
from .optimizers import BF16OptimWrapper, LARSMoCoV3, TrainedOnlyConstructor
from .runner.loops import ResumableTrainLoop
from .schedulers.warmup_cosine import WarmupCosineLR

__all__ = [
    'BF16OptimWrapper',
    'BestAndLastHook',
    'CollapseMonitorHook',
    'DeferredRuntimeInfoHook',
    'DurableCheckpointHook',
    'InitialWeightsHook',
    'LARSMoCoV3',
    'MomentumUpdateHook',
    'NumericalGuardHook',
    'OnlineKNNHook',
    'PreemptionHook',
    'PretrainedBackboneHook',
    'ResumableTrainLoop',
    'ScheduledValueHook',
    'TrainedOnlyConstructor',
    'TransferMetaHook',
    'VerifyTransferHook',
    'WarmupCosineLR',
]
