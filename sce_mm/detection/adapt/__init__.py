"""A detector's config, changed to what self-supervised weights need."""

from .detector import adapt
from .plan import AdaptError, Change, Plan
from .writer import Source, load_source, write_config

__all__ = [
    'AdaptError',
    'Change',
    'Plan',
    'Source',
    'adapt',
    'load_source',
    'write_config',
]
