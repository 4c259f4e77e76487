"""Optimisers."""

from .lars import LARSMoCoV3

__all__ = ['LARSMoCoV3']
