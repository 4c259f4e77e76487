"""Configs in and out of files."""

import os
import textwrap
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config
from mmengine.config.utils import MODULE2PACKAGE

from ...utils.checks import nearest
from .plan import AdaptError, Plan

COMMENT: Any = {'initial_indent': '# ', 'subsequent_indent': '# '}


class Source(NamedTuple):
    """A config to begin with.

    Attributes:
        cfg: All of it.
        base: What another config names to inherit it, with an absolute path;
            None for configs in pure Python, which text cannot inherit.
    """

    cfg: Config
    base: str | None


def load_source(name: str) -> Source:
    """Config of a path or of ``mmdet::name``.

    Raises:
        FileNotFoundError: There is none; the message has those of nearly
            this name.
        AdaptError: It is no config.
    """
    if '::' in name:
        _require_shipped(*name.split('::', 1))
    elif not Path(name).is_file():
        path = Path(name)
        beside = {other.name for other in path.parent.glob('*.py')}
        raise FileNotFoundError(
            f'no config at {name}{nearest(path.name, beside, 3)}'
        )
    try:
        return _load_source(name)
    except Exception as error:  # of whatever is written in it
        hint = ': give the path of its file instead' if '::' in name else ''
        raise AdaptError(
            f'mmengine cannot read {name}{hint} ({type(error).__name__}: '
            f'{error})'
        ) from error


def _require_shipped(package: str, path: str) -> None:
    """See that a package is there and has a config."""
    if package not in MODULE2PACKAGE or not (found := find_spec(package)):
        others = [] if package in MODULE2PACKAGE else [*MODULE2PACKAGE]
        raise AdaptError(
            f'no package {package!r} with configs is installed'
            f'{nearest(package, others)}'
        )
    folder = Path((found.submodule_search_locations or ['.'])[0], '.mim')
    folder /= 'configs'
    # An editable installation may not have it.
    if not folder.is_dir() or (folder / path).is_file():
        return
    known = [p.relative_to(folder).as_posix() for p in folder.glob('*/*.py')]
    # Without a folder it is compared with the names of files alone.
    names = {n if '/' in path else n.rpartition('/')[2]: n for n in known}
    raise FileNotFoundError(
        f'{package} has no config {path}{nearest(path, names, 3)}'
    )


def _load_source(name: str) -> Source:
    if '::' not in name:
        name = str(Path(name).resolve())
        # Imported classes instead of names; what it dumps has names.
        if Config._is_lazy_import(name):
            text = Config.fromfile(name).pretty_text
            return Source(Config.fromstring(text, '.py'), None)
    return Source(Config.fromstring(f'_base_ = {name!r}\n', '.py'), name)


def write_config(
    plan: Plan, base: str | None, checkpoint: Path, out: Path, title: str
) -> None:
    """Write a config that inherits the base and changes it.

    Base and checkpoint are named from the folder of the new file, so that it
    works from wherever it is called and the three can be moved together.

    Args:
        plan: What to change.
        base: Of the source; None writes all of the config.
        checkpoint: Backbone file, absolute, as the plan has it.
        out: File to write.
        title: First line.
    """
    out = out.resolve()
    out.parent.mkdir(parents=True, exist_ok=True)
    # A comment, of which no word of the file or its name can break out.
    lines = [*textwrap.wrap(title, 77, **COMMENT), '']
    if base is None:
        lines.append(plan.cfg.pretty_text)
    else:
        if '::' not in base:
            base = os.path.relpath(base, out.parent)
        lines.append(f'_base_ = {base!r}')
        for change in plan.changes:
            lines += ['', *textwrap.wrap(change.reason, 77, **COMMENT)]
            lines.append(f'_base_.{change.path} = {change.new!r}')
    relative = os.path.relpath(checkpoint, out.parent)
    text = '\n'.join(lines).rstrip('\n') + '\n'
    text = text.replace(
        repr(str(checkpoint)), repr(f'{{{{ fileDirname }}}}/{relative}')
    )
    part = out.with_name(f'{out.stem}_part.py')
    part.write_text(text)
    try:
        written = Config.fromfile(part)
        assert plain(written) == plain(plan.cfg), 'not what was planned'
        os.replace(part, out)
    finally:
        part.unlink(missing_ok=True)


def plain(cfg: Config) -> dict[str, Any]:
    """All of a config in plain types, paths normalised."""
    content = cfg._cfg_dict.to_dict()
    return _normalised(content)


def _normalised(node: Any) -> Any:
    if isinstance(node, dict):
        return {k: _normalised(v) for k, v in node.items()}
    if isinstance(node, list | tuple):
        return [_normalised(v) for v in node]
    if isinstance(node, str) and os.sep in node:
        return os.path.normpath(node)
    return node
