"""Options that the commands of the project have in common."""

import argparse
from typing import Any

from mmengine.config import DictAction


class _Overrides(DictAction):
    """mmengine's ``key=value`` pairs, with a message for what is none."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        wrong = [word for word in values if '=' not in word]
        if wrong:
            parser.error(
                f'{option_string} takes key=value, without spaces around the '
                f'sign; got {" ".join(wrong)}'
            )
        super().__call__(parser, namespace, values, option_string)


def add_shared_arguments(parser: argparse.ArgumentParser) -> None:
    """Overrides of the config, launcher, and whom to trust."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=_Overrides,
        default={},
        help='overrides of the config, key=value with dots in the key',
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
