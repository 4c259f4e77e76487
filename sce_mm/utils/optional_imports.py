"""Libraries that only some exports need."""

from importlib import import_module
from types import ModuleType

from ..checkpoints.errors import CheckpointError


def imported(module: str, package: str) -> ModuleType:
    """A module of a library that may not be there.

    Raises:
        CheckpointError: It is not; the message has the command.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise CheckpointError(
            f'{package} is not installed: pip install {package}'
        ) from error
