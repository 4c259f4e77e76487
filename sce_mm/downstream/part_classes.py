"""Say which class a part of a config names, and what its arguments are."""

import inspect
from typing import Any

from mmengine.registry import MODELS


def class_of(part: Any) -> type | None:
    """Class that a part of a config names, in the default scope.

    None where it names none, or one that no registry has.
    """
    found = part.get('type') if isinstance(part, dict) else None
    if isinstance(found, str):
        with MODELS.switch_scope_and_registry(None) as registry:
            found = registry.get(found)
    return found if isinstance(found, type) else None


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
