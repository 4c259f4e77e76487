"""Edits of a config: each changed value with its path and its reason."""

import copy
import re
import traceback
from collections.abc import Iterator
from typing import Any, NamedTuple

from mmengine.config import Config
from mmengine.registry import MODELS
from torch import nn

from ..utils.errors import UserError


class AdaptError(UserError):
    """The config cannot be adapted to self-supervised weights."""


class Change(NamedTuple):
    """One line of the new config; ``old`` is None if nothing was there."""

    path: str
    old: Any
    new: Any
    reason: str


class ConfigEdits:
    """A copy of a config, and what was changed in it.

    Args:
        cfg: The config to start from; it is not written to.

    Attributes:
        cfg: The config with all changes so far.
        changes: The changes in the order in which they were made.
        notes: Lines about what was seen and left as it is.
        new: Prefixes of tensors of the model that are new beside those of the
            backbone file.
    """

    def __init__(self, cfg: Config) -> None:
        self.cfg = copy.deepcopy(cfg)
        self.changes: list[Change] = []
        self.notes: list[str] = []
        self.new: list[str] = []

    def get(self, path: str) -> Any:
        """Value at a path, None if any part of the path is not there."""
        value: Any = self.cfg
        for step in _steps(path):
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def set(self, path: str, new: Any, reason: str) -> None:
        """Change a value, unless it is so already.

        Raises:
            AdaptError: There is nothing to put it into.
        """
        old = self.get(path)
        if _equal(old, new):
            return
        *parents, last = _steps(path)
        owner: Any = self.cfg
        for done, step in enumerate(parents):
            owner = owner.get(step) if isinstance(step, str) else owner[step]
            if not isinstance(owner, dict | list):
                raise AdaptError(
                    f'{path} cannot be set: the config has no '
                    f'{".".join(map(str, parents[: done + 1]))}'
                )
        owner[last] = copy.deepcopy(new)
        self.changes.append(Change(path, copy.deepcopy(old), new, reason))


def parts_at(edits: ConfigEdits, path: str) -> Iterator[tuple[str, Any]]:
    """A part, or each of a list of parts, with its path."""
    value = edits.get(path)
    if isinstance(value, list | tuple):
        yield from ((f'{path}[{i}]', part) for i, part in enumerate(value))
    elif value is not None:
        yield path, value


def build(edits: ConfigEdits, path: str) -> nn.Module:
    """Build a part of a config, in the default scope.

    Raises:
        AdaptError: It cannot be built.
    """
    try:
        # From a copy: models of mmdet write into what they are built from.
        return MODELS.build(copy.deepcopy(edits.get(path)))
    except Exception as error:
        part = '' if path == 'model' else f', under {path}'
        raise AdaptError(
            f'the config builds no {edits.get(f"{path}.type")}{part}: '
            f'{_reason(error)}'
        ) from error


def _reason(error: Exception) -> str:
    """Text of an error; without one, its class and the line that raised."""
    if text := str(error):
        return text
    (line,) = traceback.extract_tb(error.__traceback__)[-1:]
    return f'{type(error).__name__} at {line.line}'


def _steps(path: str) -> list[str | int]:
    """``a.b[0].c`` to ``['a', 'b', 0, 'c']``."""
    return [
        int(index) if index else name
        for index, name in re.findall(r'\[(\d+)\]|(\w+)', path)
    ]


def _equal(old: Any, new: Any) -> bool:
    """Compare values: a tuple equals a list, and False does not equal 0."""
    if isinstance(old, list | tuple) and isinstance(new, list | tuple):
        return list(old) == list(new)
    return isinstance(old, bool) == isinstance(new, bool) and old == new
