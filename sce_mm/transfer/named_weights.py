"""Find every key of a config that loads weights."""

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

from ..config.parts import type_name
from ..config.reading import walk

# Keys that name weights, and values that can be nothing else.
_WEIGHT_KEY = re.compile(r'pretrained|checkpoint|ckpt|load_from|^weights$')
_WEIGHT_FILE = re.compile(
    r'[^{]+\.(pth|pt|pkl|ckpt|safetensors|bin|npz|npy|tar)|\w[\w-]*://.+', re.I
)


def named_weights(cfg: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Everything in a config that loads weights, with what it loads.

    In the model these are ``Pretrained`` initialisers, ``pretrained`` of old
    configs, checkpoints of teachers, language models and any other name of a
    weight file; elsewhere ``load_from`` and checkpoints of hooks.

    Args:
        cfg: Config of a whole run.

    >>> list(named_weights(
    ...     {'model': {'init_cfg': {'type': 'Pretrained',
    ...                             'checkpoint': 'backbone.pth'}}}))
    [('model.init_cfg.checkpoint', 'backbone.pth')]
    """
    keys = ('load_from', 'default_hooks', 'custom_hooks', 'model')
    for path, value in walk({key: cfg.get(key) for key in keys}):
        key = path.rpartition('.')[2]
        named = _WEIGHT_KEY.search(key) is not None
        named |= path.endswith('language_model.name')
        if isinstance(value, str | os.PathLike):
            value = os.fspath(value)
            if path.startswith('model.'):
                named |= _WEIGHT_FILE.fullmatch(value) is not None
            if value and named:
                yield path, value
        elif value is True and 'pretrained' in key:
            yield path, 'the weights of its library'


def is_pretrained(init_cfg: Any) -> TypeGuard[dict[str, Any]]:
    """Whether an ``init_cfg`` loads a file, in any spelling of its type.

    >>> is_pretrained({'type': 'Pretrained', 'checkpoint': 'backbone.pth'})
    True
    """
    return type_name(init_cfg) in ('Pretrained', 'PretrainedInit')
