"""What is the method? Algorithm, head, loss, queue and momentum encoder."""

from .algorithms.sce import SCE
from .heads.sce_head import SCEHead
from .losses.sce_loss import SCELoss, sce_loss
from .utils.memory_queue import MemoryQueue
from .utils.momentum_encoder import MomentumEncoder
from .utils.view_preprocessor import ViewPreprocessor

__all__ = [
    'SCE',
    'MemoryQueue',
    'MomentumEncoder',
    'SCEHead',
    'SCELoss',
    'ViewPreprocessor',
    'sce_loss',
]
