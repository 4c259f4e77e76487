"""Optimisers, schedules, loops and hooks."""

from .hooks import (
    DeferredRuntimeInfoHook,
    DurableCheckpointHook,
    InitialWeightsHook,
    MomentumUpdateHook,
    OnlineKNNHook,
    ScheduledValueHook,
)
from .loops import ResumableTrainLoop
from .optimizers import BF16OptimWrapper, LARSMoCoV3
from .warmup_cosine import WarmupCosineLR

__all__ = [
    'BF16OptimWrapper',
    'DeferredRuntimeInfoHook',
    'DurableCheckpointHook',
    'InitialWeightsHook',
    'LARSMoCoV3',
    'MomentumUpdateHook',
    'OnlineKNNHook',
    'ResumableTrainLoop',
    'ScheduledValueHook',
    'WarmupCosineLR',
]
