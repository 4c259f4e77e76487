"""Write ``KEY=VALUE`` words of a command line into a config.

A key that nothing would read, and a value that has no place there, are
refused.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.config import Config

from ..utils.checks import did_you_mean
from ..utils.errors import UserError
from ..utils.option_values import not_overrides, parse_value
from ..utils.text import counted
from .errors import ConfigError
from .reading import (
    IMPORTS,
    TOP_LEVEL,
    as_option_key,
    import_custom_modules,
    name_classes_plainly,
    walk,
)

# Fractions with a decimal comma, which read as lists of two whole numbers, and
# those of them that nobody means as such.
_FRACTION = re.compile(r'[+-]?\d+,\d+')
_SURE_FRACTION = re.compile(r'[+-]?\d+,0\d+')


def override(
    cfg: Config, words: Sequence[str], option: str = '--cfg-options'
) -> None:
    """Write ``key=value`` words into a config.

    Messages name the option that the words were given to. Values are read by
    :func:`~sce_mm.utils.option_values.parse_value`; a list becomes a tuple
    where the config has one, as some transforms want no list. Without
    processes that load (``num_workers=0``) none of them persist either.

    Raises:
        ConfigError: A key starts at nothing that exists, so that nothing
            would read it, or a value cannot be read.
    """
    if wrong := not_overrides(words):
        raise ConfigError(f'{option} takes key=value, got {" ".join(wrong)}')
    pairs = [word.partition('=') for word in words]
    texts = {key: text for key, _, text in pairs}
    try:
        overrides = {key: parse_value(text) for key, text in texts.items()}
    except UserError as error:
        raise ConfigError(f'{option}: {error}') from error
    for key, value in overrides.items():
        if problem := _unknown(cfg, key):
            raise ConfigError(f'{option}: {problem}')
        if problem := _no_place(cfg, key, value, texts[key]):
            raise ConfigError(f'{option} {key}: {problem}')
        overrides[key] = _with_tuples(_value_at(cfg, key), value)
    for key in [key for key in overrides if overrides[key] == 0]:
        if key.endswith('.num_workers'):
            loader = key.removesuffix('.num_workers')
            overrides.setdefault(f'{loader}.persistent_workers', False)
    try:
        cfg.merge_from_dict(overrides)
    # An override that does not fit to another one.
    except (AttributeError, KeyError, TypeError, IndexError) as error:
        raise ConfigError(
            f'{option} {" ".join(words)}: {error.args[0]}'
        ) from error
    if any(key.partition('.')[0] == IMPORTS for key in overrides):
        import_custom_modules(cfg)
    name_classes_plainly(cfg)


def _unknown(cfg: Config, key: str) -> str:
    """Says that a key starts at nothing that exists; empty if it does not."""
    known = {*cfg, *TOP_LEVEL}
    first = key.partition('.')[0]
    if first in known:
        return ''
    return (
        f'the config has no {key}'
        f'{_full_names(cfg, key) or did_you_mean(first, known)}'
    )


def _full_names(cfg: Config, key: str) -> str:
    """Ask for one of the keys that end as a key without what is above it."""
    paths = (as_option_key(path) for path, _ in walk(cfg))
    ends = [path for path in paths if path.endswith(f'.{key}')][:3]
    return f' (did you mean {" or ".join(ends)}?)' if ends else ''


def not_a_flag(text: str) -> str:
    """What is wrong with a text such as ``no``, which would count as true."""
    return f'expected True or False, got {text!r}'


def _no_place(cfg: Config, key: str, value: Any, text: str) -> str:
    """Why a config has no place for the value of a key; empty if it has.

    The text is that of the value, as it was typed.
    """
    node: Any = cfg
    above: list[str] = []
    for part in key.split('.'):
        path = '.'.join(above)
        if isinstance(node, list | tuple):
            if not part.isdecimal() or int(part) >= len(node):
                return (
                    f'{path} is a list of {len(node)}, whose entries are '
                    f'named by numbers from 0; got {part!r}'
                )
            node = node[int(part)]
        elif not isinstance(node, Mapping | Config):
            return f'{path} is {node!r}, which has nothing below it'
        elif part not in node:
            return _not_two_numbers(text, _SURE_FRACTION)
        else:
            node = node[part]
        above.append(part)
    if isinstance(node, bool) and isinstance(value, str):
        return not_a_flag(value)
    if isinstance(node, int | float | dict):
        return _not_two_numbers(text) or _not_whole(key, node, value)
    return ''


def _value_at(cfg: Config, key: str) -> Any:
    """What a config has at a key; None if it has nothing there."""
    node: Any = cfg
    for part in key.split('.'):
        if isinstance(node, list | tuple):
            node = node[int(part)]
        else:
            node = node.get(part) if node is not None else None
    return node


def _with_tuples(old: Any, new: Any) -> Any:
    """A list in place of a tuple as a tuple, and so are lists in a list."""
    if not isinstance(old, list | tuple) or not isinstance(new, list | tuple):
        return new
    values = [_with_tuples(old[0] if old else None, value) for value in new]
    is_tuple = isinstance(old, tuple) or isinstance(new, tuple)
    return tuple(values) if is_tuple else values


def _not_two_numbers(text: str, fraction: re.Pattern[str] = _FRACTION) -> str:
    """What is wrong with a fraction that has a decimal comma."""
    if not fraction.fullmatch(text.strip()):
        return ''
    return (
        f'{text} is a list of two numbers: write {text.replace(",", ".")} '
        f'for one number, [{text}] for the list'
    )


def _not_whole(key: str, node: Any, value: Any) -> str:
    """Why a dict cannot be replaced by a value; empty if it can, or is none.

    Parts are left out by None, and some may be lists. A schedule, which has a
    kind, may be one number, and what mmengine compiles with may be a flag.
    """
    if not isinstance(node, dict) or key == 'compile':
        return ''
    first = key.partition('.')[0]
    whole = 'type' in node or first in ('model', key)
    number = isinstance(value, int | float) and 'kind' not in node
    if value is None:
        # Without a model there is nothing.
        wrong = key == 'model'
    else:
        wrong = number or (whole and isinstance(value, str))
    if not wrong:
        return ''
    below = next((f', such as {key}.{name}' for name in node), '')
    return f'expected a key below it{below}, got {value!r} for all of it'


def fit_warmup(cfg: Config, before: Config) -> str:
    """Shorten a warm-up along with the training that overrides have shortened.

    A warm-up that is among them stays; ``before`` is the config without them.
    The text that is returned says what was changed, or nothing.
    """
    scheduler, loop = cfg.get('param_scheduler'), cfg.get('train_cfg')
    planned: Any = (before.get('train_cfg') or {}).get('max_epochs')
    if scheduler != before.get('param_scheduler') or not (
        isinstance(scheduler, dict) and isinstance(loop, dict)
    ):
        return ''
    warmup: Any = scheduler.get('warmup_epochs')
    epochs: Any = loop.get('max_epochs')
    if any(type(n) not in (int, float) for n in (warmup, epochs, planned)):
        return ''
    if not 0 < epochs <= warmup < planned:
        return ''
    share = scheduler['warmup_epochs'] = epochs * warmup / planned
    return (
        f'param_scheduler.warmup_epochs: {warmup:g} -> {share:.3g}, the same '
        f'share of {counted(epochs, "epoch")} as of the {planned:g} in the '
        'config'
    )
