"""Losses."""

from .sce_loss import SCELoss, sce_loss

__all__ = ['SCELoss', 'sce_loss']
