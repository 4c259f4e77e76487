"""Types of arguments: what is there, what will be written, and numbers.

A wrong word is answered before anything is imported that takes seconds.
"""

import argparse
import os
import re
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ..utils.checks import (
    LARGEST_SEED,
    LEAST_SIDE,
    MOST_WORKERS,
    too_many_workers,
)
from ..utils.errors import UserError
from ..utils.recipes import find_config, find_source, recipes

# What counters of torch and NumPy hold everywhere.
_LARGEST = 2**31 - 1
# A batch of larger crops fits into no memory.
_LARGEST_SIDE = 8192
# Any but infinity.
_LARGEST_FLOAT = sys.float_info.max


def config_name(text: str) -> str:
    """Read the path of a config, or the name of a recipe.

    Raises:
        ArgumentTypeError: It is neither.
    """
    return _found_by(find_config, text)


def source_name(text: str) -> str:
    """Read what a config is made from, also the name of one of mmdet.

    Raises:
        ArgumentTypeError: There is none.
    """
    return _found_by(find_source, text)


def _found_by(find: Callable[[str], object], text: str) -> str:
    try:
        find(text)
    except (FileNotFoundError, UserError) as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def checkpoint_file(text: str) -> str:
    """Read the path of a checkpoint.

    Raises:
        ArgumentTypeError: There is no such file.
    """
    if os.path.isdir(text):
        raise argparse.ArgumentTypeError(
            f'{text} is a folder: name a checkpoint in it'
        )
    if not os.path.isfile(text):
        raise argparse.ArgumentTypeError(f'no checkpoint at {text}')
    return text


def image_folder(text: str) -> str:
    """Read a folder of images, a tar file or a list; whether it is there.

    What has a name of another kind is left to those who read images: they
    know more to say. So is a config, before which something is missing.

    Raises:
        ArgumentTypeError: There is nothing of this name.
    """
    known = any(sign in text for sign in ('://', *'*?[{')) or (
        Path(text).suffix.lower() in ('.tar', '.py') or text in recipes()
    )
    if not known and not os.path.exists(text):
        raise argparse.ArgumentTypeError(
            f'no folder {text!r} (looked in {os.getcwd()})'
        )
    return text


def existing_folder(text: str) -> str:
    """Read the path of a folder.

    Raises:
        ArgumentTypeError: There is no such folder.
    """
    if not os.path.isdir(text):
        raise argparse.ArgumentTypeError(
            f'{text} is a file, expected a folder'
            if os.path.exists(text)
            else f'there is no folder {text}'
        )
    return text


def label_file(text: str) -> Path:
    """Read the path of a file of labels.

    Raises:
        ArgumentTypeError: There is no such file.
    """
    if not os.path.isfile(text):
        what = 'a folder' if os.path.isdir(text) else 'no file'
        raise argparse.ArgumentTypeError(
            f'{text} is {what}, expected labels in COCO format'
        )
    return Path(text)


def work_folder(text: str) -> str:
    """Read the path of a folder of logs.

    Raises:
        ArgumentTypeError: It is empty or a file, or cannot be written to.
    """
    if not text:
        raise argparse.ArgumentTypeError('expected a folder, got nothing')
    _require_writable(Path(text), text)
    return text


class OutputFile:
    """Reads the path of a file to write.

    Args:
        suffixes: Endings that its name may have, with their dots. Any, if
            there are none.
        by_suffix: Whether the ending says what is written. Devices, which
            have none, are refused then.
    """

    def __init__(self, *suffixes: str, by_suffix: bool = False) -> None:
        self.suffixes = suffixes
        self.by_suffix = by_suffix

    def __call__(self, text: str) -> Path:
        """Read the path.

        Raises:
            ArgumentTypeError: It is a folder, has another ending, or no file
                can be written there.
        """
        path = Path(text)
        if path.is_dir():
            raise argparse.ArgumentTypeError(
                f'{text} is a folder, expected the name of a file to write'
            )
        right = not self.suffixes or path.suffix.lower() in self.suffixes
        # Such as /dev/stdout.
        device = path.exists() and not path.is_file()
        if not right and (self.by_suffix or not device):
            raise argparse.ArgumentTypeError(
                f'expected a name that ends in {" or ".join(self.suffixes)}, '
                f'got {text}'
            )
        _require_writable(path.parent, text)
        return path


output_file = OutputFile()
json_file = OutputFile('.json')
html_page = OutputFile('.html', '.htm')


def output_folder(text: str) -> Path:
    """Read the path of a folder to write to.

    Raises:
        ArgumentTypeError: It is a file, or cannot be made or written to.
    """
    path = Path(text)
    _require_writable(path, text)
    return path


def _require_writable(folder: Path, text: str) -> None:
    """Refuse a folder to which nothing can be written."""
    there = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    if not there.is_dir():
        inside = f'{text}: ' * (text != str(there))
        raise argparse.ArgumentTypeError(
            f'{inside}{there.name} is a file, expected a folder to write to'
        )
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise argparse.ArgumentTypeError(
            f'{text}: nothing can be written to {there} ({error.strerror})'
        ) from error


def device_name(text: str) -> str:
    """Read ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        ArgumentTypeError: The text is something else.
    """
    if not re.fullmatch(r'cpu|cuda(:\d+)?', text):
        raise argparse.ArgumentTypeError(
            f'expected cpu, cuda or cuda:N, got {text}'
        )
    return text


def region_sides(text: str) -> tuple[int, int] | str:
    """Read the size of regions.

    >>> region_sides('128'), region_sides('96-160'), region_sides('auto')
    ((128, 128), (96, 160), 'auto')

    Raises:
        ArgumentTypeError: The text is no side, no range, nor ``auto`` or
            ``none``.
    """
    if text in ('auto', 'none'):
        return text
    low, _, high = text.partition('-')
    sides = [int(n) for n in (low, high or low) if n.isdecimal()]
    if (
        len(sides) != 2
        or not LEAST_SIDE <= sides[0] <= sides[1]
        or text[-1] == '-'
    ):
        raise argparse.ArgumentTypeError(
            f'expected a side in pixels from {LEAST_SIDE} on, such as 128, a '
            f'range such as 96-160, auto or none; got {text}'
        )
    return sides[0], sides[1]


def image_side(text: str) -> int:
    """Read a side of images in pixels.

    Raises:
        ArgumentTypeError: The text is none, or too large for any memory.
    """
    if (side := positive_number(text)) > _LARGEST_SIDE:
        raise argparse.ArgumentTypeError(
            f'expected a side of up to {_LARGEST_SIDE} pixels, got {text}'
        )
    return side


def seed_number(text: str) -> int:
    """Read a seed of random generators.

    Raises:
        ArgumentTypeError: The text is no seed.
    """
    if not text.isdecimal() or int(text) > LARGEST_SEED:
        raise argparse.ArgumentTypeError(
            f'a seed is a whole number from 0 to {LARGEST_SEED}, got {text}'
        )
    return int(text)


def epochs_number(text: str) -> int | str:
    """Read a number of epochs, or ``auto``.

    Raises:
        ArgumentTypeError: The text is neither.
    """
    if text == 'auto':
        return text
    try:
        return positive_number(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(
            'expected a whole number above 0, or auto; got '
            f'{text or "nothing"}'
        ) from error


def positive_number(text: str) -> int:
    """Read a whole number above 0.

    Raises:
        ArgumentTypeError: The text is none.
    """
    return _whole_number(text, 1, 'above 0')


def natural_number(text: str) -> int:
    """Read a whole number from 0 on.

    Raises:
        ArgumentTypeError: The text is none.
    """
    return _whole_number(text, 0, 'from 0 on')


def _whole_number(text: str, least: int, bound: str) -> int:
    # Python reads no number of thousands of digits.
    if not text.isdecimal() or (not text.strip('0') and least):
        raise argparse.ArgumentTypeError(
            f'expected a whole number {bound}, got {text}'
        )
    if len(text) > 10 or int(text) > _LARGEST:
        raise argparse.ArgumentTypeError(
            f'expected a whole number up to {_LARGEST}, got {text}'
        )
    return int(text)


def worker_number(text: str) -> int:
    """Read a number of processes, or 0.

    Raises:
        ArgumentTypeError: The text is none, or far too many.
    """
    if (count := natural_number(text)) > MOST_WORKERS:
        raise argparse.ArgumentTypeError(too_many_workers(count))
    return count


def decoder_number(text: str) -> int:
    """Read a number of processes above 0.

    Raises:
        ArgumentTypeError: The text is none, or far too many.
    """
    positive_number(text)
    return worker_number(text)


def number_above(
    low: float, high: float = _LARGEST_FLOAT, example: str = ''
) -> Callable[[str], float]:
    """Make the type of a number above ``low`` and up to ``high``.

    ``example`` follows what is expected in the message on another one.
    """
    limit = f' and up to {high:g}' if high < _LARGEST_FLOAT else ''

    def read(text: str) -> float:
        with suppress(ValueError):
            if low < float(text) <= high:
                return float(text)
        raise argparse.ArgumentTypeError(
            f'expected a number above {low:g}{limit}{example}, got {text}'
        )

    return read


positive_float = number_above(0)
percentage = number_above(0, 100)
