"""Check numbers and names that come from a user."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TypeGuard

from .errors import UserError

# What generators of random numbers take.
LARGEST_SEED = 2**32 - 1
# More processes than these make a machine stand still.
MOST_WORKERS = max(256, os.cpu_count() or 1)
# Smallest side of a region of an image, pixels.
LEAST_SIDE = 8


def check_integer(
    name: str, value: object, low: int, high: float = float('inf')
) -> None:
    """Raise ``ValueError`` unless ``value`` is an integer in range."""
    if type(value) is not int or not low <= value <= high:
        bound = f'in [{low}, {high}]' if high < float('inf') else f'>= {low}'
        raise UserError(f'{name} must be an integer {bound}, got {value!r}')


def check_number(name: str, value: object, high: float = float('inf')) -> None:
    """Raise ``ValueError`` unless ``value`` is a number in [0, high]."""
    if not (is_number(value) and 0 <= value <= high):
        bound = f'in [0, {high:g}]' if high < float('inf') else '>= 0'
        raise UserError(f'{name} must be a number {bound}, got {value!r}')


def check_range(name: str, value: object, high: float = float('inf')) -> None:
    """Raise ``ValueError`` unless 0 < low <= high for a pair of numbers."""
    if not (
        isinstance(value, tuple)
        and len(value) == 2
        and all(map(is_number, value))
        and 0 < value[0] <= value[1] <= high
    ):
        bound = f' <= {high:g}' if high < float('inf') else ''
        raise UserError(
            f'{name} must be a pair (low, high) with 0 < low <= high{bound}, '
            f'got {value!r}'
        )


def too_many_workers(count: int) -> str:
    """What is wrong with more processes than ``MOST_WORKERS``."""
    return (
        f'expected at most {MOST_WORKERS} processes, got {count}; this '
        f'machine has {os.cpu_count()} cores'
    )


def require_different(
    out: Path, name: str, others: Iterable[tuple[str, Path]]
) -> None:
    """Raise ``FileExistsError`` if what is written is what is read.

    Args:
        out: File or folder to write.
        name: What the user calls it.
        others: Names and paths of the other ones of the same command.
    """
    for other, path in others:
        if out.resolve() == path.resolve() or (
            out.exists() and os.path.exists(path) and out.samefile(path)
        ):
            raise FileExistsError(
                f'{name} and {other} are the same, {out}: name another {name}'
            )


def wrong_levels(
    mean: Sequence[float] | None, std: Sequence[float] | None
) -> str:
    """Why no pixels can be normalised with these; empty if they can.

    >>> wrong_levels([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])[:35]
    'pixels have levels from 0 to 255, a'
    >>> wrong_levels([123.7, 116.3, 103.5], [58.4, 57.1, 57.4])
    ''
    """
    if std and not all(value > 0 for value in std):
        return f'pixels are divided by std, so each must be above 0; got {std}'
    wrong = {}
    # A mean of 0 says nothing of the levels, nor does a std of 1.
    if mean and 0 < max(mean) <= 1:
        wrong['mean'] = mean
    if std and max(std) < 1:
        wrong['std'] = std
    if not wrong:
        return ''
    right = ' and '.join(
        f'{name} {" ".join(f"{255 * value:.6g}" for value in values)}'
        for name, values in wrong.items()
    )
    return (
        f'pixels have levels from 0 to 255, and this {" and ".join(wrong)} '
        f'{"is" if len(wrong) == 1 else "are"} for levels from 0 to 1: give '
        f'255 times as much, {right}'
    )


def require_outside(
    out: Path, folders: Iterable[str | Path], name: str = 'OUT'
) -> None:
    """Raise ``UserError`` if what is written lies in the data that is read.

    Args:
        out: File or folder to write.
        folders: The data.
        name: What the user calls the first.
    """
    for folder in map(Path, folders):
        if folder.is_dir() and folder.resolve() in out.resolve().parents:
            raise UserError(
                f'{name}: {out} lies in the data, {folder}: name a place '
                'outside'
            )


def require_new(
    out: Path,
    overwrite: bool,
    name: str = 'OUT',
    others: Iterable[tuple[str, Path]] = (),
) -> None:
    """Raise ``FileExistsError`` if to write a file would lose another.

    Args:
        out: File to write.
        overwrite: Whether an old one may be replaced.
        name: What the user calls it.
        others: Names and paths of the other files of the same command, which
            are never replaced.
    """
    require_different(out, name, others)
    if out.exists() and not overwrite:
        raise FileExistsError(
            f'{name}: {out} exists: name another, or add --overwrite'
        )


def nearest_existing(path: Path) -> Path:
    """The path itself, or the first one above it that is there."""
    whole = path.absolute()
    return next(p for p in (whole, *whole.parents) if p.exists())


def require_own_folder(folder: Path, mark: str, kind: str) -> None:
    """Raise ``FileExistsError`` if a folder holds files of something else.

    Args:
        folder: Folder to write to; a new or an empty one is right too.
        mark: Name of a file that is in each folder of its kind.
        kind: What such a folder holds, for the message.
    """
    if not folder.is_dir() or (folder / mark).is_file():
        return
    for path in sorted(folder.glob('[!.]*')):
        raise FileExistsError(
            f'{folder} is no folder of a {kind}, it holds {path.name}: name a '
            'new one or an empty one'
        )


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value is an integer or a float; True and False are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def did_you_mean(
    name: object, names: Iterable[str] | Mapping[str, str], count: int = 1
) -> str:
    """Ask whether a misspelt name stands for one that there is.

    >>> did_you_mean('wiegth', ['weight', 'bias'])
    " (did you mean 'weight'?)"
    >>> did_you_mean('queue', ['weight', 'bias'])
    ''

    A mapping gives what is shown for each name that there is. At most
    ``count`` names are shown, the nearest first.
    """
    shown = names if isinstance(names, Mapping) else {n: n for n in names}
    matches = get_close_matches(str(name), sorted(shown), count, cutoff=0.6)
    text = ' or '.join(repr(shown[match]) for match in matches)
    return f' (did you mean {text}?)' if matches else ''


def is_misspelt(name: str, names: Iterable[str]) -> bool:
    """Whether a name that may be free is almost one that has a meaning."""
    names = list(names)
    # Two letters that have changed places.
    swapped = {
        name[:i] + name[i + 1] + name[i] + name[i + 2 :]
        for i in range(len(name) - 1)
    }
    return name not in names and bool(
        swapped.intersection(names)
        or get_close_matches(name, names, 1, cutoff=0.88)
    )
