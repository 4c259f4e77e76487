"""What a file says of its weights, seen to be of the right kind."""

import re
from collections.abc import Mapping
from typing import Any

from ..checkpoints.errors import CheckpointError

# What the training stores, and what may be unknown in other checkpoints.
TRAINING_FACTS = (
    'arch',
    'method',
    'epochs',
    'channel_order',
    'mean',
    'std',
    'style',
)
_NAME = re.compile(r'[\w .,:+()/@-]{1,100}', re.ASCII)
_WORDS = {
    'channel_order': ('rgb', 'bgr'),
    'style': ('pytorch', 'caffe'),
}


def facts_of(block: Any) -> dict[str, Any]:
    """The known facts of a block, None for those that it does not say.

    Raises:
        CheckpointError: One has a value that it cannot have.
    """
    block = block if isinstance(block, Mapping) else {}
    facts = {name: block.get(name) for name in TRAINING_FACTS}
    for name, value in facts.items():
        if value is not None and not _plausible(name, value):
            raise CheckpointError(
                f'the file says {name}={value!r}, which it cannot be: it was '
                'not written by this project'
            )
    return facts


def name_of(name: str, value: Any) -> str:
    """A name that a file gives, seen to be one.

    Raises:
        CheckpointError: It is none.
    """
    if not (isinstance(value, str) and _NAME.fullmatch(value)):
        raise CheckpointError(
            f'the file says {name}={value!r}, which it cannot be: it was '
            'not written by this project'
        )
    return value


def _plausible(name: str, value: Any) -> bool:
    if name in ('mean', 'std'):
        return (
            isinstance(value, list)
            and len(value) == 3
            and all(isinstance(v, int | float) for v in value)
        )
    if name in _WORDS:
        return value in _WORDS[name]
    if name == 'epochs':
        return isinstance(value, int)
    # Written into configs and logs: a word or a few, no quotes, no lines.
    return isinstance(value, str) and bool(_NAME.fullmatch(value))
