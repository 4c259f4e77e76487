"""Parse the options that the commands of the project have in common.

Nothing is imported here that takes seconds, so that a wrong option is answered
at once: a command imports everything else in its ``main``, after the arguments
are parsed and :func:`sce_mm.register` is called. Scripts of ``tools`` that
call one have a line ``__starts_light__ = True``.
"""

import argparse
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ..utils.checks import did_you_mean, require_different, require_new
from ..utils.option_values import not_overrides
from ..utils.processes import LAUNCHERS, own_launcher
from .argument_types import (
    OutputFile,
    config_name,
    decoder_number,
    existing_folder,
    image_folder,
    image_side,
    label_file,
    output_folder,
    positive_number,
    region_sides,
    seed_number,
    source_name,
    work_folder,
    worker_number,
)
from .command_names import as_typed
from .exit import set_debug

# Types of options whose values the help calls N.
_NUMBERS = (
    decoder_number,
    image_side,
    positive_number,
    seed_number,
    worker_number,
)
# A word that begins with ~ or $, perhaps behind --option= or key=.
_FILLED_IN = re.compile(r'((?:[\w.-]+=)?)((~|\$\w+|\$\{\w+\})(?:/.*)?)')


class HelpFormatter(argparse.RawTextHelpFormatter):
    """Says the default of an option if its text does not.

    True, False, None and empty values are left out: they only mean that the
    option was not given.
    """

    def _get_help_string(self, action: argparse.Action) -> str:
        said, value = action.help or '', action.default
        silent = value is None or isinstance(value, bool) or value in ([], {})
        if silent or value == argparse.SUPPRESS or 'default' in said:
            return said
        many = isinstance(value, list | tuple)
        words = ' '.join(map(str, value)) if many else str(value)
        # The text is filled in by % afterwards.
        return f'{said} (default: {words.replace("%", "%%")})'


class ArgumentParser(argparse.ArgumentParser):
    """Answers a wrong option by one line, without listing all options."""

    def __init__(self, description: str | None) -> None:
        super().__init__(
            prog=Path(sys.argv[0]).name,
            description=as_typed(description or ''),
            formatter_class=HelpFormatter,
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
        kind, option = settings.get('type'), '--overwrite'
        if kind in _NUMBERS and names[0].startswith('-'):
            settings.setdefault('metavar', 'N')
        if not isinstance(kind, OutputFile):
            return super().add_argument(*names, **settings)
        if names[0].startswith('-'):
            settings['metavar'] = ''.join(['FILE', *kind.suffixes[:1]])
        action = super().add_argument(*names, **settings)
        if option not in self._option_string_actions:
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
                self.error(f'there is no {name}{did_you_mean(name, known)}')
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
                if isinstance(action.type, OutputFile):
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
        if wrong := not_overrides(values):
            parser.error(
                f'{option_string} takes key=value, without spaces around the '
                f'sign; got {" ".join(wrong)}'
            )
        setattr(namespace, self.dest, getattr(namespace, self.dest) + values)


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """Add overrides of the config."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=Overrides,
        default=[],
        metavar='KEY=VALUE',
        help='values to set in the config; dots in a key go down a level. '
        'Values with brackets, blanks or quotes stand in quotes: '
        "'model.backbone.out_indices=(2,3)' 'param_scheduler.milestones="
        "[60,80]'",
    )


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Add overrides of the config, the launcher, and whom to trust."""
    add_overrides(parser)
    parser.add_argument(
        '--launcher',
        choices=['none', *LAUNCHERS],
        default=own_launcher(),
        help='what has started the processes of a distributed run',
    )
    add_trust(parser)


def add_trust(parser: argparse.ArgumentParser) -> None:
    """Add whether checkpoints may run what is in them."""
    parser.add_argument(
        '--trust',
        action='store_true',
        help='unpickle checkpoints without restrictions; use it only for '
        'files of people whom you would let run programs on this machine',
    )


def add_branch(parser: argparse.ArgumentParser) -> None:
    """Add which of the two networks of a training counts."""
    parser.add_argument(
        '--branch',
        choices=['online', 'momentum'],
        default='online',
        help='whose backbone of a training checkpoint to take',
    )


def add_knn(parser: argparse.ArgumentParser) -> None:
    """Add labelled images on which a pretraining is evaluated."""
    parser.add_argument(
        '--knn',
        nargs=2,
        type=existing_folder,
        metavar=('BANK', 'QUERY'),
        help='measure the kNN accuracy during pretraining, on the images of '
        'QUERY by those of BANK: two folders of class folders; by default on '
        "those of the config's OnlineKNNHook, if it has one",
    )


def add_images(parser: argparse.ArgumentParser) -> None:
    """Add the images of a command that reads them without a config."""
    parser.add_argument(
        'data',
        nargs='+',
        type=image_folder,
        help='folders of images, with sub-folders, or of .tar files of '
        'images, or one list of images: a text file with a path per line, or '
        'a .json file with a list of paths',
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
        help='folders of images to train on, or of .tar files of images, or '
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
        help='pretrain on square regions of the images, SIDE pixels wide: '
        'a number such as 128; a range such as 96-160; auto for a side that '
        f'follows {boxes}; none for whole images',
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
        help='your labels in COCO format: with --regions auto the side of a '
        'region is 1.3 times that of the median box',
    )
    parser.add_argument(
        '--detector',
        type=source_name,
        metavar='CONFIG',
        help='config of the detector, a path or its name in mmdet: with '
        '--regions auto the views show objects as large as it will see them',
    )


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that every OpenMMLab tool has."""
    parser.add_argument(
        '--work-dir',
        type=work_folder,
        help='folder of logs and checkpoints; work_dirs/<name of the config> '
        'by default',
    )
    add_config_arguments(parser)
    # torchrun may pass it in either spelling.
    parser.add_argument(
        '--local_rank',
        '--local-rank',
        type=int,
        default=0,
        help=argparse.SUPPRESS,
    )
