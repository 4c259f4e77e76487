"""How is a model trained? Loops, hooks, optimisers and schedules."""

from .hooks.backbone_file_hook import BackboneFileHook
from .hooks.best_and_last_hook import BestAndLastHook
from .hooks.collapse_monitor_hook import CollapseMonitorHook
from .hooks.deferred_log_hook import DeferredRuntimeInfoHook
from .hooks.durable_checkpoint_hook import DurableCheckpointHook
from .hooks.initial_weights_hook import InitialWeightsHook
from .hooks.momentum_update_hook import MomentumUpdateHook
from .hooks.numerical_guard_hook import NumericalGuardHook
from .hooks.online_knn_hook import OnlineKNNHook
from .hooks.preemption_hook import PreemptionHook
from .hooks.pretrained_backbone_hook import PretrainedBackboneHook
from .hooks.scheduled_value_hook import ScheduledValueHook
from .hooks.transfer_meta_hook import TransferMetaHook
from .hooks.verify_transfer_hook import VerifyTransferHook
from .optimizers.bf16 import BF16OptimWrapper
from .optimizers.lars import LARSMoCoV3
from .optimizers.trained_only import TrainedOnlyConstructor
from .runner.deferred_visualizer import DeferredVisualizer
from .runner.loops import ResumableTrainLoop
from .schedulers.warmup_cosine import WarmupCosineLR

__all__ = [
    'BF16OptimWrapper',
    'BackboneFileHook',
    'BestAndLastHook',
    'CollapseMonitorHook',
    'DeferredRuntimeInfoHook',
    'DeferredVisualizer',
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
