"""SCE pretraining and transfer for OpenMMLab.

Importing this package registers everything that pretraining needs in the
registries of mmpretrain. What detection needs is in ``sce_mm.detection``.
"""

from importlib import import_module
from typing import Any

from .doctor.version_gate import check_stack, import_quietly, starts_light
from .version import __version__

# What a notebook needs, from sce_mm.models.
_MODELS = ('SCE', 'MemoryQueue', 'SCEHead', 'SCELoss', 'sce_loss')

__all__ = ['__version__', 'register', *_MODELS]


def register() -> None:
    """Import everything that pretraining needs, which takes seconds.

    Raises:
        ImportError: Something is missing, too old or new, or mixed.
    """
    check_stack()
    rooms = ('datasets', 'engine', 'evaluation', 'models', 'transfer')
    import_quietly(*(f'{__name__}.{room}' for room in rooms))


def __getattr__(name: str) -> Any:
    if name in _MODELS:
        return getattr(import_module(f'{__name__}.models'), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


# The doctor examines broken stacks: it must start on them.
if not starts_light():
    register()
