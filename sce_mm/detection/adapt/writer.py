"""Configs in and out of files."""

import os
import re
import textwrap
from pathlib import Path
from typing import Any

from mmengine.config import Config

from .plan import AdaptError, Change, Plan

ROOT = re.compile(r'\w+')


def load_source(source: str) -> Config:
    """Config of a path or of ``mmdet::name``.

    Raises:
        FileNotFoundError: There is none.
        AdaptError: It is of the kind that cannot be inherited from.
    """
    if '::' not in source:
        path = Path(source).resolve()
        if not path.is_file():
            raise FileNotFoundError(f'no config at {source}')
        if path.suffix == '.py' and re.search(
            r'^\s*with read_base\(\)|^from mmengine', path.read_text(), re.M
        ):
            raise AdaptError(
                f'{source} is a config in pure Python (read_base), which a '
                'text config cannot inherit from: write it out with '
                'Config.fromfile(...).dump("config.py") and give that'
            )
        source = str(path)
    return Config.fromstring(f'_base_ = {source!r}\n', '.py')


def write_config(
    plan: Plan, source: str, checkpoint: Path, out: Path, title: str
) -> None:
    """Write a config that inherits the source and changes it.

    Base and checkpoint are named from the folder of the new file, so that it
    works from wherever it is called and the three can be moved together.

    Args:
        plan: What to change.
        source: Path or ``mmdet::name`` of the base.
        checkpoint: Backbone file, absolute, as the plan has it.
        out: File to write.
        title: First line.
    """
    out = out.resolve()
    out.parent.mkdir(parents=True, exist_ok=True)
    base = source
    if '::' not in source:
        base = os.path.relpath(Path(source).resolve(), out.parent)
    relative = os.path.relpath(checkpoint, out.parent)
    lines = [f'"""{title}"""', '', f'_base_ = {base!r}']
    for change in plan.changes:
        lines += ['', *textwrap.wrap(change.reason, 77, **COMMENT)]
        lines.append(assignment(change))
    text = '\n'.join(lines) + '\n'
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


COMMENT: Any = {'initial_indent': '# ', 'subsequent_indent': '# '}


def assignment(change: Change) -> str:
    """One change as a line of a config."""
    return f'_base_.{change.path} = {change.new!r}'


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
