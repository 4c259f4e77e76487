"""What is the method? Algorithm, head, loss, queue and momentum encoder."""

from .algorithms.sce import SCE
from .heads.dense_sce_head import DenseSCEHead
from .heads.sce_head import SCEHead
from .losses.sce_loss import SCELoss, sce_loss
from .utils.memory_queue import MemoryQueue
from .utils.momentum_encoder import MomentumEncoder
from .utils.view_preprocessor import ViewPreprocessor

__all__ = [
    'SCE',
    'DenseSCEHead',
    'MemoryQueue',
    'MomentumEncoder',
    'SCEHead',
    'SCELoss',
    'ViewPreprocessor',
    'sce_loss',
]
