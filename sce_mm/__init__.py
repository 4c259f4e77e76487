"""SCE pretraining and transfer for OpenMMLab.

Importing this package registers everything that pretraining needs in the
registries of mmpretrain. What detection needs is in ``sce_mm.detection``.
"""

from . import datasets, engine, models

__all__ = ['datasets', 'engine', 'models']
