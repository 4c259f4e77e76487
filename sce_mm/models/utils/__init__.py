"""State that the algorithm holds."""

from .memory_queue import MemoryQueue
from .momentum_encoder import MomentumEncoder

__all__ = ['MemoryQueue', 'MomentumEncoder']
