"""Find misspelt keys of a config and arguments that a class does not take.

mmengine ignores a top-level key that it does not know, and stops at the first
wrong argument of a class. Each function yields one line a problem, which
begins with its key and ends with what would be right.
"""

import inspect
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from mmengine import registry
from mmengine.config import Config
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.registry import Registry

from ..utils.checks import did_you_mean, is_misspelt
from .reading import TOP_LEVEL, walk

# What mmengine itself takes out of a dict before it builds the class.
_TAKEN_BEFORE = {
    'type',
    '_scope_',
    'priority',
    'constructor',
    'paramwise_cfg',
    'convert_to_iter_based',
}


def wrong_names(cfg: Config) -> Iterator[str]:
    """Misspelt names, and scopes of packages that are not installed."""
    for key in cfg:
        if key == 'resume_from':
            yield (
                'resume_from: nothing reads it since mmengine; --resume CKPT '
                'goes on with a run, --init-from CKPT takes its weights'
            )
        elif is_misspelt(key, TOP_LEVEL):
            yield f'{key}: nothing reads it{did_you_mean(key, TOP_LEVEL)}'
    ours = {
        name: cls
        for parent in vars(registry).values()
        if isinstance(parent, Registry)
        for child in parent.children.values()
        for name, cls in child.module_dict.items()
        if cls.__module__.startswith('sce_mm.')
    }
    for path, node in walk(cfg):
        if path.endswith('_scope_') or path == 'default_scope':
            yield from _wrong_scope(node, path)
        if isinstance(node, dict):
            name = str(node.get('type')).removeprefix('mmpretrain.')
            scope, dot, _ = name.partition('.')
            if dot and scope in MODULE2PACKAGE:
                yield from _wrong_scope(scope, f'{path}.type')
            if name in ours:
                yield from wrong_arguments(node, path, ours[name])
    yield from _left_over(cfg.get('optim_wrapper'))


def _left_over(wrapper: Any) -> Iterator[str]:
    """Arguments of another optimiser wrapper that this one does not take.

    An example is the scale of float16, when only the type was changed.
    """
    if not isinstance(wrapper, dict) or 'optimizer' not in wrapper:
        return
    name = str(wrapper.get('type', 'OptimWrapper'))
    cls = registry.OPTIM_WRAPPERS.module_dict.get(name)
    if cls is not None:
        others = {
            argument
            for other in registry.OPTIM_WRAPPERS.module_dict.values()
            for argument in arguments_of(other)
        }
        for key, value in wrapper.items():
            node = {key: value}
            for problem in wrong_arguments(node, 'optim_wrapper', cls):
                advice = '. --amp none, float16 or bfloat16 sets them all'
                yield problem + advice * (key in others)


def _wrong_scope(scope: Any, path: str) -> Iterator[str]:
    """A package to look names up in that is not there."""
    if scope is None:
        return
    if not isinstance(scope, str) or not scope.isidentifier():
        yield f'{path}: must be the name of a package, got {scope!r}'
    elif find_spec(scope) is None:
        hint = did_you_mean(scope, MODULE2PACKAGE.keys())
        if scope in MODULE2PACKAGE:
            hint = ': docs/install.md says how it gets there'
        yield f'{path}: no package {scope!r} is installed{hint}'


def wrong_arguments(node: dict, path: str, cls: type) -> Iterator[str]:
    """Keys of a dict that its class does not take."""
    names = set(arguments_of(cls))
    for key in node:
        if key not in names | _TAKEN_BEFORE:
            yield (
                f'{path}: {cls.__name__} has no argument {key!r}'
                f'{did_you_mean(key, names)}; it takes '
                f'{", ".join(sorted(names))}'
            )


def arguments_of(cls: type) -> dict[str, inspect.Parameter]:
    """Arguments of a class, and of the parents that its ``**kwargs`` feed."""
    found: dict[str, inspect.Parameter] = {}
    for base in cls.__mro__:
        if '__init__' not in vars(base):
            continue
        parameters = inspect.signature(vars(base)['__init__']).parameters
        kinds = {p.kind for p in parameters.values()}
        named = {
            name: p
            for name, p in parameters.items()
            if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
        }
        found = named | found
        if inspect.Parameter.VAR_KEYWORD not in kinds:
            break
    found.pop('self', None)
    return found
