"""What happens at fixed points of a run, beside the training steps?"""

from .best_and_last_hook import BestAndLastHook
from .collapse_monitor_hook import CollapseMonitorHook
from .deferred_log_hook import DeferredRuntimeInfoHook
from .durable_checkpoint_hook import DurableCheckpointHook
from .initial_weights_hook import InitialWeightsHook
from .momentum_update_hook import MomentumUpdateHook
from .numerical_guard_hook import NumericalGuardHook
from .online_knn_hook import OnlineKNNHook
from .preemption_hook import PreemptionHook
from .pretrained_backbone_hook import PretrainedBackboneHook
from .scheduled_value_hook import ScheduledValueHook
from .transfer_meta_hook import TransferMetaHook
from .verify_transfer_hook import VerifyTransferHook

__all__ = [
    'BestAndLastHook',
    'CollapseMonitorHook',
    'DeferredRuntimeInfoHook',
    'DurableCheckpointHook',
    'InitialWeightsHook',
    'MomentumUpdateHook',
    'NumericalGuardHook',
    'OnlineKNNHook',
    'PreemptionHook',
    'PretrainedBackboneHook',
    'ScheduledValueHook',
    'TransferMetaHook',
    'VerifyTransferHook',
]
