"""How does a detector's config change for self-supervised weights?

Start reading at :func:`make_config`, which ``tools/make_detection_config.py``
calls: it reads a config, lets :func:`adapt` (``detector.py``) change it, and
writes a new one. Each other file makes one kind of change.
"""

from .backbone import BackboneFile
from .detector import adapt, start_at_random
from .edits import AdaptError, Change, ConfigEdits, type_name
from .make_config import load_source, make_config, write_config

__all__ = [
    'AdaptError',
    'BackboneFile',
    'Change',
    'ConfigEdits',
    'adapt',
    'load_source',
    'make_config',
    'start_at_random',
    'type_name',
    'write_config',
]
