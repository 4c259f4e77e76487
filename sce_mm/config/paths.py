"""Find folders and files of a config that do not exist.

Each function yields one line a problem, which begins with its key.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmpretrain.registry import DATASETS

from ..utils.checks import nearest_existing
from .reading import walk


def missing_paths(node: Any) -> Iterator[str]:
    """``data_root``, ``ann_file`` and ``data_prefix`` that are not there."""
    for key, value in walk(node):
        # Variables of a config have no type; only local disks are looked at.
        if (
            isinstance(value, dict)
            and 'type' in value
            and not value.get('backend_args')
        ):
            yield from _of_dataset(value, key)


def missing_data(cfg: Config) -> Iterator[str]:
    """The same, of what a training of any kind reads."""
    for part in ('train', 'val'):
        if cfg.get(f'{part}_cfg'):
            for key in (f'{part}_dataloader', f'{part}_evaluator'):
                yield from missing_paths({key: cfg.get(key)})


def _of_dataset(node: dict, path: str) -> Iterator[str]:
    given = node.get('data_root') or ''
    roots = given if isinstance(given, list | tuple) else [given]
    wrong = [r for r in roots if not isinstance(r, str) or _absent(r)]
    for root in wrong:
        problem = f'must name a folder, got {root!r}'
        if isinstance(root, str):
            problem = _what_goes_where(node, root)
            if node['type'] == 'UnlabelledImages':
                problem += '; --data DIR names another one'
        yield f'{path}.data_root: {problem}'
    # What follows is relative to the one root.
    if wrong or len(roots) > 1:
        return
    named = {key: node.get(key) for key in ('ann_file', 'data_prefix')}
    if isinstance(prefix := named['data_prefix'], dict):
        for key in ('img', 'img_path'):
            named[f'data_prefix.{key}'] = prefix.get(key)
    for key, name in named.items():
        if isinstance(name, str) and name:
            place = os.path.join(roots[0], os.path.expanduser(name))
            if _absent(place):
                yield f'{path}.{key}: there is no {place}'


def _absent(place: str) -> bool:
    return '://' not in place and not Path(place).expanduser().exists()


def _what_goes_where(dataset: dict, root: str) -> str:
    """Message of a missing folder: the data set's own, if it is ours.

    Others may download what is missing when they are built.
    """
    cls = DATASETS.get(dataset['type'])
    if cls is not None and cls.__module__.startswith('sce_mm.'):
        try:
            DATASETS.build({**dataset, 'pipeline': []})
        except (OSError, ValueError) as error:
            return str(error)
    return f'no folder at {root}'


def unwritable_folders(cfg: Config) -> Iterator[str]:
    """Folders of a run to which nothing could be written; none is made."""
    hook = (cfg.get('default_hooks') or {}).get('checkpoint')
    out_dir = hook.get('out_dir') if isinstance(hook, dict) else None
    for key, folder, advice in (
        ('work_dir', cfg.get('work_dir'), ' with --work-dir'),
        ('default_hooks.checkpoint.out_dir', out_dir, ''),
    ):
        if folder is None or '://' in str(folder):
            continue
        try:
            with tempfile.TemporaryFile(dir=nearest_existing(Path(folder))):
                pass
        except (OSError, TypeError) as error:
            yield (
                f'{key}: cannot write to {folder!r} '
                f'({getattr(error, "strerror", None) or error}); name '
                f'another one{advice}'
            )
