"""Which parts of the model have a state? Queue, momentum encoder, norms."""

from .batch_norm import SplitBatchNorm2d
from .memory_queue import MemoryQueue
from .momentum_encoder import MomentumEncoder
from .view_preprocessor import ViewPreprocessor

__all__ = [
    'MemoryQueue',
    'MomentumEncoder',
    'SplitBatchNorm2d',
    'ViewPreprocessor',
]
