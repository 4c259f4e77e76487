"""What happens in one training step?"""

from .sce import SCE

__all__ = ['SCE']
