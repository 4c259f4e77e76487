"""Read a config file and its overrides, and walk over what was read."""

import inspect
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from mmengine import registry
from mmengine.config import Config
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.registry import Registry
from mmengine.runner import Runner
from mmengine.utils import import_modules_from_strings

from ..doctor.version_gate import import_quietly
from ..utils.checks import did_you_mean
from ..utils.errors import UserError
from ..utils.hashes import hash_of
from ..utils.option_values import not_overrides, parse_value
from ..utils.recipes import (
    find_config,
    recipe_folder,
    recipes,
    stock_folder,
    stock_name,
)
from ..utils.text import counted
from .errors import ConfigError

# mmengine looks for the files behind `mmseg::` by the name of upstream's
# distribution, which the fork does not have. Both have the import name.
MODULE2PACKAGE['mmseg'] = 'mmseg'
# So that `sce_mm::sce/NAME.py` may stand in `_base_`.
MODULE2PACKAGE['sce_mm'] = 'sce_mm'

# Keys that mmengine reads at the top of a config.
TOP_LEVEL = {
    *inspect.signature(Runner.__init__).parameters,
    'compile',
    'custom_imports',
    'runner_type',
} - {'self', 'cfg'}

# Fractions with a decimal comma, which read as lists of two whole numbers, and
# those of them that nobody means as such.
_FRACTION = re.compile(r'[+-]?\d+,\d+')
_SURE_FRACTION = re.compile(r'[+-]?\d+,0\d+')
_IMPORTS = 'custom_imports'


def walk(node: Any, path: str = '') -> Iterator[tuple[str, Any]]:
    """Yield the path and the value of everything in a config.

    >>> for path, value in walk({'model': {'views': [{'size': 32}]}}):
    ...     print(path, value)
    model {'views': [{'size': 32}]}
    model.views [{'size': 32}]
    model.views[0] {'size': 32}
    model.views[0].size 32

    Anything but configs, dicts and lists holds nothing. ``path`` is that of
    the node itself, which is not yielded.
    """
    if isinstance(node, Mapping | Config):
        pairs = [(f'{path}.{key}', value) for key, value in node.items()]
    elif isinstance(node, list | tuple):
        pairs = [(f'{path}[{i}]', value) for i, value in enumerate(node)]
    else:
        return
    for name, value in pairs:
        name = name.removeprefix('.')
        yield name, value
        yield from walk(value, name)


def typed_dicts(node: Any) -> Iterator[dict[str, Any]]:
    """Every dict of a config that names a class, at whatever depth."""
    for _, value in walk({'': node}):
        if isinstance(value, dict) and 'type' in value:
            yield value


def as_option_key(path: str) -> str:
    """A path of :func:`walk` as ``--cfg-options`` names it.

    >>> as_option_key('model.views[0].size')
    'model.views.0.size'
    """
    return re.sub(r'\[(\d+)\]', r'.\1', path)


def read_config(path: str | Path) -> Config:
    """Read a config and import the modules that it asks for.

    Args:
        path: Path of the file, or the name of a recipe.

    Raises:
        FileNotFoundError: There is no such config.
        ConfigError: It is no valid file of its kind, one of its bases is not
            there, or a module cannot be imported.
    """
    path = find_config(path)
    try:
        cfg = Config.fromfile(path, import_custom_modules=False)
        _forget_scope(cfg)
    # The file is run as a program: anything can happen, and what it imports
    # is imported when somebody looks at it.
    except Exception as error:
        raise ConfigError(
            f'the config {path} cannot be read: {unread_reason(path, error)}'
        ) from error
    if cfg.get('default_scope') == 'mmdet' or any(
        path.endswith('.type') and str(value).startswith('mmdet.')
        for path, value in walk(cfg)
    ):
        # The checks say what is missing.
        with suppress(ImportError, AssertionError):
            import_quietly('mmdet.datasets')
    _import_custom_modules(cfg)
    _name_classes_plainly(cfg)
    return cfg


def hash_of_config(cfg: Config) -> str:
    """By what the content of a config is known."""
    content = json.dumps(cfg._cfg_dict.to_dict(), default=str)
    return hash_of(content.encode())


def inherited_configs(config: str) -> list[str]:
    """Paths of the configs that one names as its ``_base_``.

    Variables such as ``{{ fileDirname }}`` are replaced as mmengine does it
    before it reads the names.
    """
    with tempfile.TemporaryDirectory() as folder:
        replaced = str(Path(folder, Path(config).name))
        own = str(Path(config).absolute())
        Config._substitute_predefined_vars(own, replaced)
        Config._substitute_env_variables(replaced, replaced)
        names = Config._get_base_files(replaced)
    return [Config._get_cfg_path(name, config)[0] for name in names]


def unread_reason(path: str | Path, error: Exception) -> str:
    """Why mmengine cannot read a config, by the error that it raised."""
    path = Path(path)
    if advice := _base_advice(path) or _style_advice(path, error):
        return advice
    if isinstance(error, SyntaxError):
        return f'SyntaxError: {error.msg} (line {error.lineno})'
    if isinstance(error, UnicodeDecodeError):
        return 'it is no text in UTF-8'
    if isinstance(error, FileNotFoundError) and error.filename:
        return (
            f'there is no {os.path.normpath(error.filename)}, which it names '
            'in _base_'
        )
    if isinstance(error, AttributeError) and path.suffix != '.py':
        return 'it holds no keys and values'
    # Parsers of YAML say in several lines where they are.
    return ' '.join(f'{type(error).__name__}: {error}'.split())


def _base_advice(path: Path) -> str:
    """What a config has to call the packaged bases that it names wrongly.

    mmengine takes them by folder and file alone.
    """
    if path.suffix != '.py' or not path.is_file():
        return ''
    text = path.read_text(encoding='utf-8', errors='replace')
    for base in re.findall(r'["\'](\w+::[^"\']+)["\']', text):
        package, _, name = base.partition('::')
        if package == 'sce_mm':
            found = recipes().get(Path(name).name.removesuffix('.py'))
            inside = found and found.relative_to(recipe_folder()).as_posix()
            right = inside and f'sce_mm::{inside}'
        else:
            right = stock_name(name)
        if right and right != base:
            return f'there is no {base!r}: its name there is {right!r}'
        folder = stock_folder(package)
        if package == 'sce_mm':
            folder = recipe_folder()
        if folder and not (folder / name).is_file():
            near = {
                f.stem: f'{package}::{f.relative_to(folder).as_posix()}'
                for f in folder.rglob('*.py')
            }
            return f'there is no {base!r}{did_you_mean(Path(name).stem, near)}'
    return ''


def _style_advice(path: Path, error: Exception) -> str:
    """What to write where a config inherits one of mmengine's other style.

    The recipes are text, and their names are no modules of Python.
    """
    if path.suffix != '.py' or not path.is_file():
        return ''
    pure = re.search(r'\bread_base\b', path.read_text(errors='replace'))
    if 'lazy_import' not in str(error) and not (
        pure and 'sce_mm' in str(error)
    ):
        return ''
    if pure:
        return (
            'with read_base() it can inherit configs of that style alone, and '
            "the recipes are text: write _base_ = 'sce_mm::sce/NAME.py' "
            'instead, in a config without imports'
        )
    return (
        '_base_ names a config with read_base() or imports, which text cannot '
        'inherit: write that one as text, with _base_, too'
    )


def require_model(cfg: Config, name: str) -> None:
    """Refuse what is no config of a network; messages begin with the name.

    Raises:
        ConfigError: It has no model, or one that is no dict.
    """
    model = cfg.get('model')
    if model is not None and not isinstance(model, dict):
        raise ConfigError(f'{name}: model must be a dict, got {model!r}')
    if model is None:
        raise ConfigError(
            f'{name} has no model: expected the config of a network and its '
            'training; sce recipes lists those of sce_mm'
        )


def _forget_scope(cfg: Config) -> None:
    """Let what is inherited from ``sce_mm::`` have the scope of the config.

    mmengine writes the name before ``::`` into what it inherits, and would
    look there for all classes. Those of this package are registered where
    mmpretrain and mmdet have theirs.
    """
    for _, node in walk(cfg):
        if isinstance(node, dict) and node.get('_scope_') == 'sce_mm':
            node.pop('_scope_')


def _name_classes_plainly(cfg: Config) -> None:
    """Let a config of mmpretrain's scope name classes as the recipes do.

    It may name one with the scope (``mmpretrain.SCE``) or by its module, and
    in pure Python holds the class itself; whoever looks a part up asks for
    the name alone.
    """
    if cfg.get('default_scope') != 'mmpretrain':
        return
    roots = [r for r in vars(registry).values() if isinstance(r, Registry)]
    scopes = [r.children.get('mmpretrain', r) for r in roots]
    names = {
        cls: name
        for scope in (*roots, *scopes)
        for name, cls in scope.module_dict.items()
    }
    for _, node in walk(cfg):
        kind = node.get('type') if isinstance(node, dict) else None
        if isinstance(kind, str):
            package, _, name = kind.partition('.')
            if package == 'mmpretrain' and '.' not in name:
                node['type'] = name or kind
            elif package == 'sce_mm':
                node['type'] = name.rpartition('.')[2] or kind
        elif callable(kind) and kind in names:
            node['type'] = names[kind]


def override(
    cfg: Config, words: Sequence[str], option: str = '--cfg-options'
) -> None:
    """Write ``key=value`` words into a config.

    Messages name the option that the words were given to. Values are read by
    :func:`~sce_mm.utils.option_values.parse_value`. Without processes
    that load (``num_workers=0``) none of them persist either.

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
    if any(key.partition('.')[0] == _IMPORTS for key in overrides):
        _import_custom_modules(cfg)
    _name_classes_plainly(cfg)


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


def _import_custom_modules(cfg: Config) -> None:
    """Import the modules of ``custom_imports``, which register classes."""
    wanted: Any = cfg.get(_IMPORTS) or {}
    if not isinstance(wanted, dict) or set(wanted) - {
        'imports',
        'allow_failed_imports',
    }:
        raise ConfigError(
            f"{_IMPORTS}: must be dict(imports=['module', ...], "
            f'allow_failed_imports=False), got {wanted!r}'
        )
    try:
        import_modules_from_strings(
            wanted.get('imports'), wanted.get('allow_failed_imports', False)
        )
    # A user's module can fail in any way.
    except Exception as error:
        # mmengine names the module, the error before it says what is wrong.
        reason = error.__context__ or error
        raise ConfigError(
            f'{_IMPORTS}: {error} ({type(reason).__name__}: {reason}); '
            'the folder of a module of your own must be in PYTHONPATH'
        ) from error
