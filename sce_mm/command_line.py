"""Options that the commands of the project have in common."""

import argparse

from mmengine.config import DictAction


def add_shared_arguments(parser: argparse.ArgumentParser) -> None:
    """Overrides of the config, launcher, and whom to trust."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
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
