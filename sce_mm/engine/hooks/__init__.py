"""Hooks of pretraining and of evaluation."""

from .best_and_last_hook import BestAndLastHook
from .deferred_log_hook import DeferredRuntimeInfoHook
from .durable_checkpoint_hook import DurableCheckpointHook
from .initial_weights_hook import InitialWeightsHook
from .momentum_update_hook import MomentumUpdateHook
from .online_knn_hook import OnlineKNNHook
from .preemption_hook import PreemptionHook
from .pretrained_backbone_hook import PretrainedBackboneHook
from .scheduled_value_hook import ScheduledValueHook

__all__ = [
    'BestAndLastHook',
    'DeferredRuntimeInfoHook',
    'DurableCheckpointHook',
    'InitialWeightsHook',
    'MomentumUpdateHook',
    'OnlineKNNHook',
    'PreemptionHook',
    'PretrainedBackboneHook',
    'ScheduledValueHook',
]
