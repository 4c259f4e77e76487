"""Options that the commands of the project have in common.

Nothing is imported that takes seconds, so that a wrong option is answered at
once.
"""

import argparse
from typing import Any, NoReturn

# What generators of random numbers take.
LARGEST_SEED = 2**32 - 1


class ArgumentParser(argparse.ArgumentParser):
    """Answers a wrong option by one line, without all the right ones.

    Args:
        description: Docstring of the command.
    """

    def __init__(self, description: str | None) -> None:
        super().__init__(
            description=description,
            formatter_class=argparse.RawTextHelpFormatter,
        )

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and exit with 2."""
        self.exit(2, f'error: {message}; --help lists the options\n')


class _Overrides(argparse.Action):
    """Collects ``key=value`` words, with a message for what is none."""

    def __call__(
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
    """Seed of random generators, as the type of an option.

    Raises:
        ArgumentTypeError: It is none.
    """
    if not text.isdecimal() or int(text) > LARGEST_SEED:
        raise argparse.ArgumentTypeError(
            f'a seed is a whole number from 0 to {LARGEST_SEED}, got {text}'
        )
    return int(text)


def add_shared_arguments(parser: argparse.ArgumentParser) -> None:
    """Overrides of the config, launcher, and whom to trust."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=_Overrides,
        default=[],
        metavar='KEY=VALUE',
        help='overrides of the config, with dots in the key',
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='how the processes of a distributed run were started',
    )
    parser.add_argument(
        '--trust',
        action='store_true',
        help='unpickle checkpoints freely: only for files of people that you '
        'would let run programs on this machine',
    )


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that every OpenMMLab tool has."""
    parser.add_argument(
        '--work-dir',
        help='where logs and checkpoints go; by default '
        'work_dirs/<name of the config>',
    )
    add_shared_arguments(parser)
    # torchrun may pass it in either spelling.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
