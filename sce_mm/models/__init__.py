"""What is the method? Algorithm, head, loss, queue and momentum encoder."""

from .algorithms import SCE
from .heads import SCEHead
from .losses import SCELoss, sce_loss
from .utils import MemoryQueue, MomentumEncoder, ViewPreprocessor

__all__ = [
    'SCE',
    'MemoryQueue',
    'MomentumEncoder',
    'SCEHead',
    'SCELoss',
    'ViewPreprocessor',
    'sce_loss',
]
