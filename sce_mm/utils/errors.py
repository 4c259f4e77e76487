"""Errors that tell the user what to do, and imports that may fail."""

from importlib import import_module
from typing import Any


class UserError(ValueError):
    """Says what was expected, what came and what to do.

    Commands show the message alone, see
    :func:`~sce_mm.cli.exit.run_main`.
    """


class MissingPackageError(UserError, ImportError):
    """A library that only some features need is not installed."""


def import_optional(module: str, package: str, instead: str = '') -> Any:
    """A module of a library that may not be installed.

    Args:
        module: Its name in Python, such as ``'sklearn.svm'``.
        package: Its name for pip, such as ``'scikit-learn'``.
        instead: Text on what the user can do without the library.

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
