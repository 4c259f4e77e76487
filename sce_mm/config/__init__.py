"""Will this config work? Reading it, checking it and finding its parts."""

from .check import check_config
from .errors import ConfigError
from .overrides import override
from .reading import read_config, walk

__all__ = [
    'ConfigError',
    'check_config',
    'override',
    'read_config',
    'walk',
]
