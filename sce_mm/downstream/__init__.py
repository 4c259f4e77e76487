"""How does a dense predictor's config change for self-supervised weights?

Start reading at :func:`make_config`: it reads a config and a backbone file,
lets an ``adapt`` of ``sce_mm.detection`` or ``sce_mm.segmentation`` change
the config, and writes a new one. Each other file makes one kind of change
that both need. Classes are found in the registries of mmengine, in the
default scope, so neither mmdet nor mmseg is imported here.
"""

from .backbone import BackboneFile
from .edits import AdaptError, Change, ConfigEdits
from .make_config import load_base, make_config, write_config
from .other_weights import start_at_random

__all__ = [
    'AdaptError',
    'BackboneFile',
    'Change',
    'ConfigEdits',
    'load_base',
    'make_config',
    'start_at_random',
    'write_config',
]
