"""Folders that a pretraining config names.

Part of :func:`~sce_mm.config_sense.check_sense`: each function yields one line
a problem, which begins with its key.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmpretrain.registry import DATASETS


def missing_folders(node: Any, path: str) -> Iterator[str]:
    """``data_root`` of any data set, if it is a local folder."""
    if isinstance(node, list | tuple):
        for index, item in enumerate(node):
            yield from missing_folders(item, f'{path}[{index}]')
    if not isinstance(node, dict):
        return
    # Variables of a config stand at the top; only data sets are read.
    roots = node.get('data_root', '') if 'type' in node else ''
    for root in roots if isinstance(roots, list | tuple) else [roots]:
        if not isinstance(root, str):
            yield f'{path}.data_root: must name a folder, got {root!r}'
        elif (
            root and '://' not in root and not Path(root).expanduser().exists()
        ):
            yield f'{path}.data_root: {_what_goes_where(node, root)}'
    for key, value in node.items():
        yield from missing_folders(value, f'{path}.{key}')


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


def unwritable_work_dir(cfg: Config) -> Iterator[str]:
    """The work dir, made if it is not there, if nothing can be written."""
    work_dir = cfg.get('work_dir')
    if work_dir is None:
        return
    try:
        os.makedirs(work_dir, exist_ok=True)
        with tempfile.TemporaryFile(dir=work_dir):
            pass
    except (OSError, TypeError) as error:
        yield (
            f'work_dir: cannot write to {work_dir} '
            f'({getattr(error, "strerror", None) or error}); name another one '
            'with --work-dir'
        )
