"""A detector's config, changed to what self-supervised weights need."""

from .detector import adapt, start_at_random
from .plan import AdaptError, Change, Plan
from .writer import Source, load_source, write_config

__all__ = [
    'AdaptError',
    'Change',
    'Plan',
    'Source',
    'adapt',
    'load_source',
    'start_at_random',
    'write_config',
]
