"""Optimisers."""

from .bf16 import BF16OptimWrapper
from .lars import LARSMoCoV3

__all__ = ['BF16OptimWrapper', 'LARSMoCoV3']
