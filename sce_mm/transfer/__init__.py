"""How does a checkpoint become a backbone, and do its weights arrive?

A :class:`Backbone` is extracted from any known checkpoint, saved, loaded,
exported to other libraries (``export``) and verified in a detector
(``verify``).
"""

from ..checkpoints.errors import CheckpointError
from ..checkpoints.reading import read_checkpoint
from .backbone import Backbone, extract_backbone, load_backbone, save_backbone
from .metadata import tensor_hash

__all__ = [
    'Backbone',
    'CheckpointError',
    'extract_backbone',
    'load_backbone',
    'read_checkpoint',
    'save_backbone',
    'tensor_hash',
]
