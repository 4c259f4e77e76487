"""Optimisers, schedules and hooks."""

from .hooks import MomentumUpdateHook, OnlineKNNHook, ScheduledValueHook
from .optimizers import BF16OptimWrapper, LARSMoCoV3
from .warmup_cosine import WarmupCosineLR

__all__ = [
    'BF16OptimWrapper',
    'LARSMoCoV3',
    'MomentumUpdateHook',
    'OnlineKNNHook',
    'ScheduledValueHook',
    'WarmupCosineLR',
]
