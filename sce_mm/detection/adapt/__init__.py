"""A detector's config, changed to what self-supervised weights need."""

from .detector import adapt
from .plan import AdaptError, Change, Plan
from .writer import load_source, write_config

__all__ = [
    'AdaptError',
    'Change',
    'Plan',
    'adapt',
    'load_source',
    'write_config',
]
