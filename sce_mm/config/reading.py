"""A config file and what overrides it, read, or why not."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction
from mmengine.utils import import_modules_from_strings

from .names import BY_NAME, ConfigError, check_overrides


def read_config(path: str | Path) -> Config:
    """Read a config and import what it asks for.

    Raises:
        FileNotFoundError: There is no such config.
        ConfigError: It is no valid file of its kind, one of its bases is not
            there, or a module cannot be imported.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f'no config at {path}: the recipes are under configs/sce, the '
            'demo under configs/demo'
        )
    try:
        cfg = Config.fromfile(path, import_custom_modules=False)
    # The file is run as a program: anything can happen.
    except Exception as error:
        reason = f'{type(error).__name__}: {error}'
        if isinstance(error, AttributeError) and 'custom_hooks' in reason:
            reason = f'{reason}: {BY_NAME}'
        raise ConfigError(
            f'the config {path} cannot be read: {reason}'
        ) from error
    _import_custom_modules(cfg)
    return cfg


def read_overrides(words: Sequence[str]) -> dict[str, Any]:
    """Values of ``key=value`` words, by key.

    Raises:
        ConfigError: A value has brackets that do not close.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument('--words', nargs='*', action=DictAction, default={})
    try:
        return parser.parse_args(['--words', *words]).words
    except AssertionError as error:
        raise ConfigError(f'--cfg-options: {error}') from error


def override(cfg: Config, words: Sequence[str]) -> None:
    """Write ``key=value`` words into a config.

    Raises:
        ConfigError: A key leads nowhere, or a value cannot be read.
    """
    overrides = read_overrides(words)
    check_overrides(cfg, overrides)
    try:
        cfg.merge_from_dict(overrides)
    # An index beyond a list, or a key below a number.
    except (KeyError, TypeError, IndexError) as error:
        raise ConfigError(f'--cfg-options: {error.args[0]}') from error


def _import_custom_modules(cfg: Config) -> None:
    """Import the modules of ``custom_imports``, which register classes."""
    wanted: Any = cfg.get('custom_imports') or {}
    if not isinstance(wanted, dict) or set(wanted) - {
        'imports',
        'allow_failed_imports',
    }:
        raise ConfigError(
            "custom_imports: must be dict(imports=['module', ...], "
            f'allow_failed_imports=False), got {wanted!r}'
        )
    try:
        import_modules_from_strings(
            wanted.get('imports'), wanted.get('allow_failed_imports', False)
        )
    # A module of the user's own can fail in any way.
    except Exception as error:
        # mmengine names the module, the error before it says what is wrong.
        reason = error.__context__ or error
        raise ConfigError(
            f'custom_imports: {error} ({type(reason).__name__}: {reason}); '
            'the folder of a module of your own must be in PYTHONPATH'
        ) from error
