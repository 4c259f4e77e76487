"""Algorithms."""

from .sce import SCE

__all__ = ['SCE']
