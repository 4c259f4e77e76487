"""Parse the options that the commands of the project have in common.

Nothing is imported here that takes seconds, so that a wrong option is answered
at once. A command that wants the same begins with ``__starts_light__ = True``,
imports everything else in its ``main``, after the arguments are parsed and
:func:`sce_mm.register` is called.
"""

import argparse
from typing import Any, NoReturn

from ..utils.checks import LARGEST_SEED


class ArgumentParser(argparse.ArgumentParser):
    """Answers a wrong option by one line, without listing all options."""

    def __init__(self, description: str | None) -> None:
        super().__init__(
            description=description,
            formatter_class=argparse.RawTextHelpFormatter,
        )

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and exit with 2."""
        self.exit(2, f'error: {message}; --help lists the options\n')


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
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='what has started the processes of a distributed run',
    )
    parser.add_argument(
        '--trust',
        action='store_true',
        help='unpickle checkpoints without restrictions; use it only for '
        'files of people whom you would let run programs on this machine',
    )


def add_data_argument(parser: argparse.ArgumentParser) -> None:
    """Add the folders of images that a pretraining takes."""
    parser.add_argument(
        '--data',
        nargs='+',
        metavar='DIR',
        help="folder(s) of images to train on, instead of the config's",
    )


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that every OpenMMLab tool has."""
    parser.add_argument(
        '--work-dir',
        help='folder of logs and checkpoints; work_dirs/<name of the config> '
        'by default',
    )
    add_shared_arguments(parser)
    # torchrun may pass it in either spelling.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
