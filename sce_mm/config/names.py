"""Misspelt names in a config, found before anything is built.

mmengine ignores a top-level key that it does not know, and stops at the first
wrong argument of a class. Here the keys that nothing would read and the wrong
arguments of our classes are found at once, each with the nearest right name.
"""

import inspect
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from importlib.util import find_spec
from typing import Any

from mmengine import registry
from mmengine.config import Config
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.registry import Registry
from mmengine.runner import Runner

from ..utils.errors import UserError

_TOP_LEVEL = {
    *inspect.signature(Runner.__init__).parameters,
    'compile',
    'custom_imports',
    'runner_type',
} - {'self', 'cfg'}

# What mmengine itself takes out of a dict before it builds the class.
_TAKEN_BEFORE = {
    'type',
    '_scope_',
    'priority',
    'constructor',
    'paramwise_cfg',
    'convert_to_iter_based',
}


# Spellings of older versions of OpenMMLab.
_INSTEAD = {
    'pretrained': ", but init_cfg=dict(type='Pretrained', checkpoint=...)"
}

# What configs written for hooks in a list are told.
BY_NAME = (
    'the hooks of the recipes have names, not positions: '
    'default_hooks.momentum_update.momentum instead of '
    'custom_hooks[0].momentum, likewise transfer_meta, preemption, '
    'numerical_guard, collapse_monitor, online_knn, pretrained_backbone and '
    'best_and_last; custom_hooks is for hooks of your own'
)


class ConfigError(UserError):
    """Everything that is wrong with a config."""


def check_config(cfg: Config) -> None:
    """Find names that nothing will read.

    Raises:
        ConfigError: A top-level key is almost one that the Runner takes, or
            a class of ours has no such argument. All of them are listed.
    """
    raise_all(list(wrong_names(cfg)), 'wrong name(s) in the config')


def raise_all(problems: list[str], what: str) -> None:
    """List all problems in one error, if there are any.

    Raises:
        ConfigError: There are.
    """
    if problems:
        lines = ''.join(f'\n  - {problem}' for problem in problems)
        raise ConfigError(f'{len(problems)} {what}:{lines}')


def wrong_names(cfg: Config) -> Iterator[str]:
    """Names that nothing will read, one line each, beginning with the key."""
    ours = _our_classes()
    yield from _top_level(cfg)
    for key in cfg:
        yield from _walk(cfg[key], key, ours)
    yield from _left_over(cfg.get('optim_wrapper'))


def check_overrides(cfg: Config, overrides: dict[str, Any]) -> None:
    """See that each ``--cfg-options`` key starts at something that exists.

    Raises:
        ConfigError: It does not, so that nothing would read the value.
    """
    known = {*cfg, *_TOP_LEVEL}
    wrong = [key for key in overrides if key.split('.')[0] not in known]
    for key in overrides:
        if key.startswith('custom_hooks.') and not cfg.get('custom_hooks'):
            raise ConfigError(f'--cfg-options {key}: {BY_NAME}')
    if wrong:
        hints = (f'{key}{nearest(key.split(".")[0], known)}' for key in wrong)
        raise ConfigError(
            f'--cfg-options: the config has no {", ".join(hints)}'
        )


def _top_level(cfg: Config) -> Iterator[str]:
    for key in cfg:
        if key == 'resume_from':
            yield (
                'resume_from: nothing reads it since mmengine; --resume CKPT '
                'goes on with a run, --init-from CKPT takes its weights'
            )
        elif key not in _TOP_LEVEL and get_close_matches(
            key, _TOP_LEVEL, 1, 0.9
        ):
            yield f'{key}: nothing reads it{nearest(key, _TOP_LEVEL)}'
    yield from _wrong_scope(cfg.get('default_scope'), 'default_scope')


def _walk(node: Any, path: str, ours: dict[str, type]) -> Iterator[str]:
    if isinstance(node, list | tuple):
        for index, item in enumerate(node):
            yield from _walk(item, f'{path}[{index}]', ours)
    if not isinstance(node, dict):
        return
    yield from _wrong_scope(node.get('_scope_'), f'{path}._scope_')
    cls = ours.get(str(node.get('type')).removeprefix('mmpretrain.'))
    if cls is not None:
        yield from wrong_arguments(node, path, cls)
    for key, value in node.items():
        yield from _walk(value, f'{path}.{key}', ours)


def _left_over(wrapper: Any) -> Iterator[str]:
    """What an optimiser wrapper of mmengine does not take from another one.

    Such as the scale of float16, when only the type was changed.
    """
    if not isinstance(wrapper, dict) or 'optimizer' not in wrapper:
        return
    name = str(wrapper.get('type', 'OptimWrapper'))
    cls = registry.OPTIM_WRAPPERS.module_dict.get(name)
    if cls is not None:
        for problem in wrong_arguments(wrapper, 'optim_wrapper', cls):
            yield f'{problem}. --amp none, float16 or bfloat16 sets them all'


def _wrong_scope(scope: Any, path: str) -> Iterator[str]:
    """A package to look names up in that is not there."""
    if scope is None:
        return
    if not isinstance(scope, str) or not scope.isidentifier():
        yield f'{path}: must be the name of a package, got {scope!r}'
    elif find_spec(scope) is None:
        hint = nearest(scope, set(MODULE2PACKAGE))
        yield f'{path}: no package {scope!r} is installed{hint}'


def wrong_arguments(node: dict, path: str, cls: type) -> Iterator[str]:
    """Keys of a dict that its class does not take."""
    names = _argument_names(cls)
    for key in node:
        if key not in names | _TAKEN_BEFORE:
            yield (
                f'{path}: {cls.__name__} has no argument {key!r}'
                f'{_INSTEAD.get(key) or nearest(key, names)}; it takes '
                f'{", ".join(sorted(names))}'
            )


def _argument_names(cls: type) -> set[str]:
    """Arguments of a class, and of the parents that its ``**kwargs`` feed."""
    names: set[str] = set()
    for base in cls.__mro__:
        if '__init__' not in vars(base):
            continue
        parameters = inspect.signature(vars(base)['__init__']).parameters
        kinds = {p.kind for p in parameters.values()}
        names |= {
            p.name
            for p in parameters.values()
            if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
        }
        if inspect.Parameter.VAR_KEYWORD not in kinds:
            break
    return names - {'self'}


def _our_classes() -> dict[str, type]:
    """Every class of this package that a config can name, if imported."""
    registries = (
        v for v in vars(registry).values() if isinstance(v, Registry)
    )
    return {
        name: cls
        for parent in registries
        for child in parent.children.values()
        for name, cls in child.module_dict.items()
        if cls.__module__.startswith('sce_mm.')
    }


def nearest(
    name: str, names: Iterable[str] | Mapping[str, str], count: int = 1
) -> str:
    """The names that a misspelt one may stand for, as a question.

    Args:
        name: Misspelt.
        names: That there are; a mapping gives what is shown for each.
        count: So many at most, the nearest first.
    """
    shown = names if isinstance(names, Mapping) else {n: n for n in names}
    matches = get_close_matches(name, sorted(shown), n=count, cutoff=0.6)
    text = ' or '.join(repr(shown[match]) for match in matches)
    return f' (did you mean {text}?)' if matches else ''
