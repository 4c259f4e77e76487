"""The error for files that are not the checkpoint that was asked for."""

from pathlib import Path

from ..utils.errors import UserError

# For advice: other tools do not have all the options of this one.
EXTRACT = 'sce extract CKPT OUT'


class CheckpointError(UserError):
    """A file is not the checkpoint that was asked for."""


def needs_trust(path: Path, asked: str) -> str:
    """What to do about a file that asks for a class or function."""
    return (
        f'{path} holds more than tensors and plain values, and reading that '
        'could run any program. If you trust its origin, pass --trust. What '
        f'it asks for: {asked}. A tool without that option takes the OUT of '
        f'{EXTRACT} --trust'
    )
