"""Give trained norms to the parts of a config that start at random."""

import inspect
from collections.abc import Iterator
from typing import Any

from ..config.parts import type_name
from .backbone import SYNC_BN
from .edits import ConfigEdits, class_of

# mmcv's own synchronised norm cannot be built outside of a distributed run.
BATCH_NORMS = ('BN', 'SyncBN', 'MMSyncBN')


def parts_at(edits: ConfigEdits, path: str) -> Iterator[tuple[str, Any]]:
    """A part, or each of a list of parts, with its path."""
    value = edits.get(path)
    if isinstance(value, list | tuple):
        yield from ((f'{path}[{i}]', part) for i, part in enumerate(value))
    elif value is not None:
        yield path, value


def is_one_of(part: Any, names: tuple[str, ...]) -> bool:
    """Whether a part is of one of these classes, or of a subclass."""
    return any(cls.__name__ in names for cls in _classes(part))


def setting_of(part: Any, name: str) -> Any:
    """What a part has for an argument: the config's value or the default."""
    if name in part:
        return part[name]
    for cls in _classes(part):
        if constructor := vars(cls).get('__init__'):
            arguments = inspect.signature(constructor).parameters
            if name in arguments:
                return arguments[name].default
    return None


def _classes(part: Any) -> tuple[type, ...]:
    """Class that a part of a config names, and all that it inherits from."""
    cls = class_of(part)
    return cls.__mro__ if cls else ()


def give_norm(
    edits: ConfigEdits,
    path: str,
    reason: str,
    norm_cfg: dict[str, Any] = SYNC_BN,
) -> None:
    """Set a norm where there is none, or one that is not trained.

    The eps and momentum of one that there is stay.
    """
    old = setting_of(edits.get(path), 'norm_cfg')
    if old is not None:
        if type_name(old) not in BATCH_NORMS:
            return
        if norm_cfg == SYNC_BN:
            reason = 'batch norm trained, over all GPUs, and also without any'
            norm_cfg = {**old, **norm_cfg}
    edits.set(f'{path}.norm_cfg', norm_cfg, reason)
