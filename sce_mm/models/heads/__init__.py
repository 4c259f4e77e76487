"""Heads."""

from .sce_head import SCEHead

__all__ = ['SCEHead']
