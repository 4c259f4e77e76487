"""How are the weights updated?"""

from .bf16 import BF16OptimWrapper
from .lars import LARSMoCoV3
from .trained_only import TrainedOnlyConstructor

__all__ = ['BF16OptimWrapper', 'LARSMoCoV3', 'TrainedOnlyConstructor']
