"""Errors that tell the user what to do, and imports that may fail."""

import errno
from importlib import import_module
from typing import Any, TypeGuard


class UserError(ValueError):
    """Says what was expected, what came and what to do.

    Commands show the message alone, see
    :func:`~sce_mm.cli.exit.run_main`.
    """


class UnreadableImageError(UserError):
    """The bytes are not an image that can be decoded in full."""


class MissingPackageError(UserError, ImportError):
    """A library that only some features need is not installed."""


def is_full(error: object) -> TypeGuard[OSError]:
    """Whether an error of the system says that a disk has no room."""
    numbers = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return isinstance(error, OSError) and error.errno in numbers


def import_optional(module: str, package: str, instead: str = '') -> Any:
    """A module (``'sklearn.svm'``) of a package (``'scikit-learn'`` for pip).

    ``instead`` says what the user can do without it.

    Raises:
        MissingPackageError: The library is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        advice = f', or {instead}' if instead else ''
        raise MissingPackageError(
            f'{package} is not installed: pip install {package}{advice}'
        ) from error
