"""What does a step minimise? The SCE loss and its mathematics."""

from .sce_loss import SCELoss, sce_loss

__all__ = ['SCELoss', 'sce_loss']
