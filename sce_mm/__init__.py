"""SCE pretraining and transfer for OpenMMLab.

Importing this package registers everything that pretraining needs in the
registries of mmpretrain. What detection needs is in ``sce_mm.detection``.
"""

from .compat import check_stack, doctor_is_running
from .version import __version__

# The doctor examines broken stacks: it must start on them.
if not doctor_is_running():
    check_stack()
    from . import datasets, engine, evaluation, models, transfer

__all__ = [
    '__version__',
    'datasets',
    'engine',
    'evaluation',
    'models',
    'transfer',
]
