"""SCE pretraining and transfer for OpenMMLab.

Importing this package registers everything that pretraining needs in the
registries of mmpretrain. What detection needs is in ``sce_mm.detection``.
"""

import sys
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

from .version import __version__

# What a notebook needs, from sce_mm.models.
_MODELS = ('SCE', 'MemoryQueue', 'SCEHead', 'SCELoss', 'sce_loss')

__all__ = ['__version__', 'register', *_MODELS]


def register() -> None:
    """Import everything that pretraining needs, which takes seconds.

    Raises:
        ImportError: Something is missing, too old or new, or mixed.
    """
    from .doctor.version_gate import check_stack, import_quietly, without

    check_stack()
    rooms = ('datasets', 'engine', 'evaluation', 'models', 'transfer')
    with without('mmdet'):
        import_quietly(*(f'{__name__}.{room}' for room in rooms))


def __getattr__(name: str) -> Any:
    if name in _MODELS:
        return getattr(import_module(f'{__name__}.models'), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def _starts_light() -> bool:
    """Whether the program calls :func:`register` when it wants to.

    That is the command ``sce``, ``python -m sce_mm`` and
    ``python -m sce_mm.doctor``, which must start on broken stacks, and each
    script with a line ``__starts_light__ = True``: they read their arguments
    before.
    """
    modules = {('-m', 'sce_mm'), ('-m', 'sce_mm.doctor')}
    named = Path(*sys.argv[:1]).name in ('sce', 'sce.exe')
    program = sys.modules.get('__main__')
    return (
        named
        or not modules.isdisjoint(pairwise(sys.orig_argv))
        or getattr(program, '__starts_light__', False)
    )


if not _starts_light():
    register()
