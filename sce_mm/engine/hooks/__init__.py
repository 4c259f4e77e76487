"""Hooks of pretraining."""

from .momentum_update_hook import MomentumUpdateHook
from .scheduled_value_hook import ScheduledValueHook

__all__ = ['MomentumUpdateHook', 'ScheduledValueHook']
