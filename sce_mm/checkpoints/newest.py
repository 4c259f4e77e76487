"""Find the newest whole checkpoint, which a killed run resumes from."""

import re
from collections.abc import Sequence
from pathlib import Path

from ..utils.progress import warn
from .errors import CheckpointError
from .mmengine_loading import read_resumable


def newest_whole_checkpoint(
    work_dir: str | Path, templates: Sequence[str]
) -> Path | None:
    """The newest checkpoint of a run that can be read to its end.

    That is the one that ``last_checkpoint`` names, then the others by age.
    Each one passed over is reported. They are read whole: a damaged archive
    can be one that only torch cannot open.

    Args:
        work_dir: Folder with checkpoints and ``last_checkpoint``.
        templates: Names of checkpoints, a number in place of ``{}``.

    Returns:
        None if there is no checkpoint at all.

    Raises:
        CheckpointError: There are some, and none can be read.
    """
    work_dir = Path(work_dir)
    candidates = checkpoints_in(work_dir, templates)
    reasons = []
    for path in candidates:
        try:
            read_resumable(path)
        except (CheckpointError, FileNotFoundError) as error:
            reasons.append(str(error))
            warn(f'{error}. Not resumed from: taking the one before it')
        else:
            return path
    if reasons:
        lines = ''.join(f'\n  - {reason}' for reason in reasons)
        raise CheckpointError(
            f'none of the {len(candidates)} checkpoints in {work_dir} can be '
            f'read:{lines}\nRemove them to begin again, or give --resume a '
            'copy that is whole'
        )
    return None


def checkpoints_in(work_dir: Path, templates: Sequence[str]) -> list[Path]:
    """Checkpoints of a folder by their names, newest first.

    Of one template that is the highest number, whenever a copy was made; of
    several the age says it.
    """
    files = [*work_dir.iterdir()] if work_dir.is_dir() else []
    series: list[list[Path]] = []
    for template in dict.fromkeys(templates):
        pattern = re.escape(template).replace(r'\{\}', r'(\d+)')
        numbers = {
            path: int(match[1] if match.lastindex else 0)
            for path in files
            if (match := re.fullmatch(pattern, path.name))
        }
        series.append(sorted(numbers, key=numbers.__getitem__))
    found = []
    while any(series):
        latest = max(filter(None, series), key=lambda s: _age(s[-1]))
        found.append(latest.pop())
    pointer = work_dir / 'last_checkpoint'
    if pointer.is_file():
        # The folder may have been moved: the name counts. Damaged, it is none.
        text = pointer.read_text(errors='replace')
        named = work_dir / Path(text.strip()).name
        if named in found:
            found.remove(named)
            found.insert(0, named)
    return found


def _age(path: Path) -> int:
    return path.lstat().st_mtime_ns
