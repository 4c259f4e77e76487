"""Losses."""

from .sce_loss import SCELoss

__all__ = ['SCELoss']
