"""Changes of a config, each with its reason."""

import copy
import re
from typing import Any, NamedTuple

from mmengine.config import Config

# What a key that is not there has for a value.
ABSENT = type('Absent', (), {'__repr__': lambda self: 'not set'})()


class AdaptError(ValueError):
    """The config cannot be made right by changing it."""


class Change(NamedTuple):
    """One line of the new config.

    Attributes:
        path: Where, as Python writes it: ``model.neck[0].norm_cfg``.
        old: What was there, or ``ABSENT``.
        new: What is there now.
        reason: Why.
    """

    path: str
    old: Any
    new: Any
    reason: str


class Plan:
    """A config on its way to another one.

    Args:
        cfg: Where it begins; it is not written to.

    Attributes:
        cfg: The config with all changes so far.
        changes: Made, in order.
        notes: Of what was seen and left as it is.
    """

    def __init__(self, cfg: Config) -> None:
        self.cfg = copy.deepcopy(cfg)
        self.changes: list[Change] = []
        self.notes: list[str] = []

    def get(self, path: str) -> Any:
        """Value at a path, ``ABSENT`` if any part of it is not there."""
        value: Any = self.cfg
        for step in steps(path):
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                return ABSENT
        return value

    def set(self, path: str, new: Any, reason: str) -> None:
        """Change a value, unless it is so already.

        Raises:
            AdaptError: There is nothing to put it into.
        """
        old = self.get(path)
        if old is not ABSENT and same(old, new):
            return
        *parents, last = steps(path)
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


def steps(path: str) -> list[str | int]:
    """``a.b[0].c`` to ``['a', 'b', 0, 'c']``."""
    return [
        int(index) if index else name
        for index, name in re.findall(r'\[(\d+)\]|(\w+)', path)
    ]


def same(old: Any, new: Any) -> bool:
    """Equal, a tuple being as good as a list, and False not as 0."""
    if isinstance(old, list | tuple) and isinstance(new, list | tuple):
        return list(old) == list(new)
    return isinstance(old, bool) == isinstance(new, bool) and old == new


def kind(part: Any) -> str:
    """Class that a part of a config names, without scope or module."""
    name = part.get('type') if isinstance(part, dict) else None
    name = getattr(name, '__name__', name)
    return str(name).rsplit('.', 1)[-1]
