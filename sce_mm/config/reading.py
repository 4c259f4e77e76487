"""Read a config file, and walk over what was read."""

import inspect
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
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
from ..utils.hashes import hash_of
from ..utils.recipes import (
    find_config,
    recipe_folder,
    recipes,
    stock_folder,
    stock_name,
)
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

# Key of the modules that register classes of a config.
IMPORTS = 'custom_imports'


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
    import_custom_modules(cfg)
    name_classes_plainly(cfg)
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


def name_classes_plainly(cfg: Config) -> None:
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


def import_custom_modules(cfg: Config) -> None:
    """Import the modules of ``custom_imports``, which register classes."""
    wanted: Any = cfg.get(IMPORTS) or {}
    if not isinstance(wanted, dict) or set(wanted) - {
        'imports',
        'allow_failed_imports',
    }:
        raise ConfigError(
            f"{IMPORTS}: must be dict(imports=['module', ...], "
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
            f'{IMPORTS}: {error} ({type(reason).__name__}: {reason}); '
            'the folder of a module of your own must be in PYTHONPATH'
        ) from error
