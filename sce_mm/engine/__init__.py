"""Optimisers, schedules and hooks."""

from .hooks import MomentumUpdateHook, OnlineKNNHook, ScheduledValueHook
from .optimizers import BF16OptimWrapper, LARSMoCoV3

__all__ = [
    'BF16OptimWrapper',
    'LARSMoCoV3',
    'MomentumUpdateHook',
    'OnlineKNNHook',
    'ScheduledValueHook',
]
