"""Configs in and out of files."""

import os
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config

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
        FileNotFoundError: There is none.
        AdaptError: It is no config.
    """
    try:
        return _load_source(name)
    except FileNotFoundError:
        raise
    except Exception as error:  # of whatever is written in it
        hint = ': give the path of its file instead' if '::' in name else ''
        raise AdaptError(
            f'mmengine cannot read {name}{hint} ({type(error).__name__}: '
            f'{error})'
        ) from error


def _load_source(name: str) -> Source:
    if '::' not in name:
        path = Path(name).resolve()
        if not path.is_file():
            raise FileNotFoundError(f'no config at {name}')
        name = str(path)
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
