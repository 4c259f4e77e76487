"""Parse the options that the commands of the project have in common.

Nothing is imported here that takes seconds, so that a wrong option is answered
at once. A command that wants the same begins with ``__starts_light__ = True``,
imports everything else in its ``main``, after the arguments are parsed and
:func:`sce_mm.register` is called.
"""

import argparse
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from ..utils.checks import (
    LARGEST_SEED,
    nearest,
    require_different,
    require_new,
)
from .exit import LAUNCHERS, set_debug
from .inputs import config_name, image_folder, label_file, source_name
from .typed import as_typed

# What counters of torch and NumPy hold everywhere.
_LARGEST = 2**31 - 1
# More processes than these make a machine stand still.
_MOST_WORKERS = 1024
# A batch of larger crops fits into no memory.
_LARGEST_SIDE = 8192
# A word that begins with ~ or $, perhaps behind --option= or key=.
_FILLED_IN = re.compile(r'((?:[\w.-]+=)?)((~|\$\w+|\$\{\w+\})(?:/.*)?)')


class ArgumentParser(argparse.ArgumentParser):
    """Answers a wrong option by one line, without listing all options."""

    def __init__(self, description: str | None) -> None:
        super().__init__(
            prog=Path(sys.argv[0]).name,
            description=as_typed(description or ''),
            formatter_class=argparse.RawTextHelpFormatter,
        )
        self._words: list[str] = []
        self.add_argument(
            '--debug',
            action=Debug,
            nargs=0,
            default=argparse.SUPPRESS,
            help='show the traceback of an error, as SCE_DEBUG=1 does',
        )

    def add_argument(self, *names: Any, **settings: Any) -> argparse.Action:
        """Add an argument; a file to write brings ``--overwrite`` with it."""
        action = super().add_argument(*names, **settings)
        option = '--overwrite'
        known = option in self._option_string_actions
        if settings.get('type') is output_file and not known:
            about = 'replace files that exist'
            self.add_argument(option, action='store_true', help=about)
        return action

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse the words; a misspelt option counts before a missing one.

        Raises:
            FileExistsError: A file to write exists, without ``--overwrite``,
                or what is written is another file or folder of the command.
        """
        words = self._words = self._filled_in(
            sys.argv[1:] if args is None else args
        )
        for word in words[: words.index('--') if '--' in words else None]:
            name = word.partition('=')[0]
            known = [*self._option_string_actions]
            if name.startswith('--') and not any(
                option.startswith(name) for option in known
            ):
                self.error(f'there is no {name}{nearest(name, known)}')
        parsed = super().parse_args(words, namespace)
        self._protect_files(parsed)
        return parsed

    def _protect_files(self, parsed: argparse.Namespace) -> None:
        """Refuse to write over what may not be lost."""
        named = {
            action: list(_paths(getattr(parsed, action.dest, None)))
            for action in self._actions
            if not (action.choices or isinstance(action, Overrides))
        }
        for action, outs in named.items():
            others = [
                (_typed_name(other), path)
                for other, paths in named.items()
                if other is not action
                for path in paths
            ]
            name = _typed_name(action)
            for out in outs:
                if action.type is output_file:
                    require_new(out, parsed.overwrite, name, others)
                elif action.type is output_folder:
                    require_different(out, name, others)

    def _filled_in(self, words: Sequence[str]) -> list[str]:
        """Words with ~ and variables filled in, and none that is empty.

        Shells leave them as they are in quotes, and ~ behind ``--option=``.
        """
        filled = []
        for number, word in enumerate(words):
            if not word or (word.endswith('=') and word.startswith('--')):
                before = [w for w in words[: number + 1] if w[:2] == '--']
                option = before[-1].rstrip('=') if before else 'one word'
                self.error(
                    f'{option} is empty, perhaps by a variable of the shell '
                    'that is not set'
                )
            if found := _FILLED_IN.fullmatch(word):
                key, path, name = found.groups()
                word = key + os.path.expandvars(os.path.expanduser(path))
                if word == found[0] and not os.path.lexists(path):
                    self.error(f'{word}: the variable {name} is not set')
            filled.append(word)
        return filled

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and exit with 2."""
        if 'arguments are required: ' in message:
            message += self._greedy_option()
        if (
            message.startswith('unrecognized arguments')
            and '--data' in self._option_string_actions
        ):
            message += '; folders of images go behind --data'
        advice = '; --help lists the options'
        if found := re.match(r'argument (\S+): ', message):
            # A wrong value: what is right stands in the message.
            name, message = found[1], message[found.end() :]
            advice, option = '', f'{name}: ' * name.startswith('-')
            message = option + message
        self.exit(2, as_typed(f'error: {message}{advice}\n'))

    def _greedy_option(self) -> str:
        """The option that may have taken a word that is missing."""
        option, count = '', 0
        for word in self._words:
            if word.startswith('--'):
                option, count = word, 0
                continue
            count += 1
            action = self._option_string_actions.get(option)
            least = {'+': 2, '*': 1, '?': 1}.get(str(action and action.nargs))
            if least and count >= least:
                return (
                    f'; {option} takes the words behind it: name what is '
                    'missing before it'
                )
        return ''


def _typed_name(action: argparse.Action) -> str:
    """An argument as the user typed it or its help calls it."""
    return (action.option_strings or [action.dest.upper()])[0]


def _paths(value: Any) -> Iterator[Path]:
    """What may name files in the value of an argument."""
    for part in value if isinstance(value, list) else [value]:
        if part and isinstance(part, (str, Path)):
            yield Path(part)


class Debug(argparse.Action):
    """Lets errors be shown with their traceback, from now on."""

    def __call__(self, *parsed: Any) -> None:  # noqa: D102
        set_debug()


class Overrides(argparse.Action):
    """Collects ``key=value`` words and refuses others.

    Used as ``action`` of an option with ``nargs='+'`` and ``default=[]``.
    """

    def __call__(  # noqa: D102
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        wrong = [word for word in values if word.find('=') < 1]
        if wrong:
            parser.error(
                f'{option_string} takes key=value, without spaces around the '
                f'sign; got {" ".join(wrong)}'
            )
        setattr(namespace, self.dest, getattr(namespace, self.dest) + values)


def seed_number(text: str) -> int:
    """Read a seed of random generators; the type of an option.

    Raises:
        ArgumentTypeError: The text is no seed.
    """
    if not text.isdecimal() or int(text) > LARGEST_SEED:
        raise argparse.ArgumentTypeError(
            f'a seed is a whole number from 0 to {LARGEST_SEED}, got {text}'
        )
    return int(text)


def region_sides(text: str) -> tuple[int, int] | str:
    """Read the size of regions; the type of an option.

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
    if len(sides) != 2 or not 8 <= sides[0] <= sides[1] or text[-1] == '-':
        raise argparse.ArgumentTypeError(
            'expected a side in pixels from 8 on, such as 128, a range such '
            f'as 96-160, auto or none; got {text}'
        )
    return sides[0], sides[1]


def positive_number(text: str) -> int:
    """Read a whole number above 0; the type of an option.

    Raises:
        ArgumentTypeError: The text is none.
    """
    return _whole_number(text, 1, 'above 0')


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


def natural_number(text: str) -> int:
    """Read a whole number from 0 on; the type of an option.

    Raises:
        ArgumentTypeError: The text is none.
    """
    return _whole_number(text, 0, 'from 0 on')


def worker_number(text: str) -> int:
    """Read a number of processes, or 0; the type of an option.

    Raises:
        ArgumentTypeError: The text is none, or far too many.
    """
    if (count := natural_number(text)) > _MOST_WORKERS:
        raise argparse.ArgumentTypeError(
            f'expected at most {_MOST_WORKERS} processes, got {text}; this '
            f'machine has {os.cpu_count()} cores'
        )
    return count


def decoder_number(text: str) -> int:
    """Read a number of processes above 0; the type of an option.

    Raises:
        ArgumentTypeError: The text is none, or far too many.
    """
    positive_number(text)
    return worker_number(text)


def image_side(text: str) -> int:
    """Read a side of images in pixels; the type of an option.

    Raises:
        ArgumentTypeError: The text is none, or too large for any memory.
    """
    if (side := positive_number(text)) > _LARGEST_SIDE:
        raise argparse.ArgumentTypeError(
            f'expected a side of up to {_LARGEST_SIDE} pixels, got {text}'
        )
    return side


def positive_float(text: str) -> float:
    """Read a finite number above 0; the type of an option.

    Raises:
        ArgumentTypeError: The text is none.
    """
    with suppress(ValueError):
        if 0 < float(text) < float('inf'):
            return float(text)
    raise argparse.ArgumentTypeError(f'expected a number above 0, got {text}')


def percentage(text: str) -> float:
    """Read a part of 100; the type of an option.

    Raises:
        ArgumentTypeError: The text is none.
    """
    with suppress(ValueError):
        if 0 < float(text) <= 100:
            return float(text)
    raise argparse.ArgumentTypeError(
        f'expected a number above 0 and up to 100, got {text}'
    )


def device_name(text: str) -> str:
    """Read ``cpu``, ``cuda`` or ``cuda:N``; the type of an option.

    Raises:
        ArgumentTypeError: The text is something else.
    """
    if not re.fullmatch(r'cpu|cuda(:\d+)?', text):
        raise argparse.ArgumentTypeError(
            f'expected cpu, cuda or cuda:N, got {text}'
        )
    return text


def work_folder(text: str) -> str:
    """Read the path of a folder of logs; the type of an option.

    Raises:
        ArgumentTypeError: It is empty or a file, or cannot be written to.
    """
    if not text:
        raise argparse.ArgumentTypeError('expected a folder, got nothing')
    _require_writable(Path(text), text)
    return text


def output_file(text: str) -> Path:
    """Read the path of a file to write; the type of an option.

    Raises:
        ArgumentTypeError: It is a folder, or no file can be written there.
    """
    path = Path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(
            f'{text} is a folder, expected the name of a file to write'
        )
    _require_writable(path.parent, text)
    return path


def output_folder(text: str) -> Path:
    """Read the path of a folder to write to; the type of an option.

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


def epochs_number(text: str) -> int | str:
    """Read a number of epochs, or ``auto``; the type of an option.

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


def add_shared_arguments(parser: argparse.ArgumentParser) -> None:
    """Add overrides of the config, the launcher, and whom to trust."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=Overrides,
        default=[],
        metavar='KEY=VALUE',
        help='values to set in the config; dots in a key go down a level',
    )
    parser.add_argument(
        '--launcher',
        choices=['none', *LAUNCHERS],
        default='none',
        help='what has started the processes of a distributed run',
    )
    parser.add_argument(
        '--trust',
        action='store_true',
        help='unpickle checkpoints without restrictions; use it only for '
        'files of people whom you would let run programs on this machine',
    )


def add_pretraining_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the config of a pretraining, its images and their regions."""
    parser.add_argument(
        'config',
        type=config_name,
        help='path of a config, or name of a recipe',
    )
    parser.add_argument(
        '--data',
        nargs='+',
        type=image_folder,
        metavar='DIR',
        help='folder(s) of images to train on, or of .tar files of images, or '
        "one list of images, instead of the config's",
    )
    parser.add_argument(
        '--cache',
        metavar='CACHE',
        help='read the pixels of these images from this folder, which '
        'sce cache made of them',
    )
    add_region_arguments(parser)


def add_region_size(parser: Any, boxes: str) -> None:
    """Add size and number of the regions that a pretraining takes.

    Args:
        parser: A parser, or a group of one.
        boxes: Option with the labels that ``auto`` follows.
    """
    parser.add_argument(
        '--regions',
        type=region_sides,
        metavar='SIDE',
        help='pretrain on square regions of the images, of so many pixels a '
        'side: 128; a range such as 96-160; auto for a side that follows '
        f'{boxes}; none for whole images',
    )
    parser.add_argument(
        '--regions-per-image',
        type=positive_number,
        metavar='N',
        help='samples of an epoch that come from one image; by default as '
        'many as regions fit into the median image. With --regions none, '
        'each whole image is taken N times',
    )


def add_region_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what cuts regions out of the images of a pretraining."""
    add_region_size(parser, '--boxes')
    parser.add_argument(
        '--boxes',
        type=label_file,
        metavar='JSON',
        help='labels of the user in COCO format: with --regions auto a '
        'region is as large as 1.3 of the median box',
    )
    parser.add_argument(
        '--detector',
        type=source_name,
        metavar='CONFIG',
        help='config of the detector, a path or its name in mmdet: with '
        '--regions auto the views show objects as large as it will see them',
    )


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that every OpenMMLab tool has."""
    parser.add_argument(
        '--work-dir',
        type=work_folder,
        help='folder of logs and checkpoints; work_dirs/<name of the config> '
        'by default',
    )
    add_shared_arguments(parser)
    # torchrun may pass it in either spelling.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
