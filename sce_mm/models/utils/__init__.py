"""Parts of the algorithm that hold state."""

from .batch_norm import SplitBatchNorm2d
from .memory_queue import MemoryQueue
from .momentum_encoder import MomentumEncoder
from .unwrap import unwrapped
from .view_preprocessor import ViewPreprocessor

__all__ = [
    'MemoryQueue',
    'MomentumEncoder',
    'SplitBatchNorm2d',
    'ViewPreprocessor',
    'unwrapped',
]
