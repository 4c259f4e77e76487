"""Hooks of pretraining."""

from .deferred_log_hook import DeferredRuntimeInfoHook
from .durable_checkpoint_hook import DurableCheckpointHook
from .initial_weights_hook import InitialWeightsHook
from .momentum_update_hook import MomentumUpdateHook
from .online_knn_hook import OnlineKNNHook
from .scheduled_value_hook import ScheduledValueHook

__all__ = [
    'DeferredRuntimeInfoHook',
    'DurableCheckpointHook',
    'InitialWeightsHook',
    'MomentumUpdateHook',
    'OnlineKNNHook',
    'ScheduledValueHook',
]
