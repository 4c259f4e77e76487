"""Optimisers, schedules and hooks."""

from .hooks import MomentumUpdateHook, OnlineKNNHook, ScheduledValueHook
from .optimizers import LARSMoCoV3

__all__ = [
    'LARSMoCoV3',
    'MomentumUpdateHook',
    'OnlineKNNHook',
    'ScheduledValueHook',
]
