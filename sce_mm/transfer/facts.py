"""What a file says of its weights, seen to be of the right kind."""

from collections.abc import Mapping
from typing import Any

from .errors import CheckpointError

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


def _plausible(name: str, value: Any) -> bool:
    if name in ('mean', 'std'):
        return (
            isinstance(value, list)
            and len(value) == 3
            and all(isinstance(v, int | float) for v in value)
        )
    if name in _WORDS:
        return value in _WORDS[name]
    return isinstance(value, int if name == 'epochs' else str)
