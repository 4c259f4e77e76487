"""Which pairs of views does the loss compare?"""

from .sce_head import SCEHead

__all__ = ['SCEHead']
