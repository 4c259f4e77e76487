"""Which checkpoint a killed run goes on from."""

import logging
import re
from collections.abc import Sequence
from pathlib import Path

from mmengine.logging import print_log

from ..durable_files import is_whole_archive
from ..transfer.errors import CheckpointError


def newest_whole_checkpoint(
    work_dir: str | Path, templates: Sequence[str]
) -> Path | None:
    """The newest checkpoint of a run that can be read to its end.

    That is the one that ``last_checkpoint`` names, then the others by age.
    Each one passed over is reported.

    Args:
        work_dir: Folder with checkpoints and ``last_checkpoint``.
        templates: Names of checkpoints, a number in place of ``{}``.

    Returns:
        None if there is no checkpoint at all.

    Raises:
        CheckpointError: There are some, and all are damaged.
    """
    work_dir = Path(work_dir)
    candidates = _candidates(work_dir, templates)
    for path in candidates:
        if is_whole_archive(path):
            return path
        print_log(
            f'{path} is damaged or cut short: taking the one before it',
            logger='current',
            level=logging.WARNING,
        )
    if candidates:
        raise CheckpointError(
            f'all {len(candidates)} checkpoints in {work_dir} are damaged '
            f'({", ".join(path.name for path in candidates)}): remove them to '
            'begin anew, or give --resume a copy that is whole'
        )
    return None


def _candidates(work_dir: Path, templates: Sequence[str]) -> list[Path]:
    """Checkpoints of a folder, newest first."""
    patterns = [
        re.escape(template).replace(r'\{\}', r'\d+') for template in templates
    ]
    found = [
        path
        for path in (work_dir.iterdir() if work_dir.is_dir() else ())
        if any(re.fullmatch(pattern, path.name) for pattern in patterns)
    ]
    found.sort(key=lambda path: path.stat().st_mtime_ns, reverse=True)
    pointer = work_dir / 'last_checkpoint'
    if pointer.is_file():
        # The folder may have been moved: the name counts.
        named = work_dir / Path(pointer.read_text().strip()).name
        if named in found:
            found.remove(named)
            found.insert(0, named)
    return found
