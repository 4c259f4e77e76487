"""Optimisers, schedules and hooks."""

from .hooks import (
    DeferredRuntimeInfoHook,
    MomentumUpdateHook,
    OnlineKNNHook,
    ScheduledValueHook,
)
from .optimizers import BF16OptimWrapper, LARSMoCoV3
from .warmup_cosine import WarmupCosineLR

__all__ = [
    'BF16OptimWrapper',
    'DeferredRuntimeInfoHook',
    'LARSMoCoV3',
    'MomentumUpdateHook',
    'OnlineKNNHook',
    'ScheduledValueHook',
    'WarmupCosineLR',
]
