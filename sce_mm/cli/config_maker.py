"""The commands that make configs from weights, whatever the models do."""

import argparse
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from .argument_types import OutputFile, positive_number
from .arguments import ArgumentParser
from .command_names import as_typed, from_here

if TYPE_CHECKING:
    from mmengine.config import Config

    from ..downstream import BackboneFile, ConfigEdits


def add_maker_arguments(parser: ArgumentParser, package: str) -> None:
    """Add what a maker of configs takes.

    Args:
        parser: Parser of the command.
        package: Package whose configs are named ``package::name``.
    """
    parser.add_argument(
        'config',
        help='path of a config, or the name of a recipe or of one of '
        f'{package}, with {package}:: before it or without',
    )
    parser.add_argument(
        'checkpoint', type=Path, help='backbone file or training checkpoint'
    )
    parser.add_argument(
        'out', type=OutputFile('.py'), help='config to write, a .py file'
    )
    parser.add_argument(
        '--gpus', dest='processes', type=positive_number, default=1,
        metavar='N',
        help='processes of the training, for the learning rate; 1 by default',
    )  # fmt: skip
    parser.add_argument(
        '--batch', type=positive_number, metavar='N',
        help="images of each process; the config's by default",
    )  # fmt: skip


def make_adapted(
    args: argparse.Namespace, adapt: Callable[..., tuple['ConfigEdits', str]]
) -> None:
    """Make the config of a parsed command line, and say what changed in it.

    Args:
        args: Parsed command line.
        adapt: Changes a config for a backbone file, a number of processes,
            the images of each and the batch of the rate of the config.

    Raises:
        AdaptError: The config cannot be made right by changing it.
        CheckpointError: There is no backbone in the checkpoint.
        OSError: The config or the checkpoint is not there, or what would be
            written is.
    """
    from ..config.rate_batch import batch_of_rate
    from ..downstream import make_config

    def change(
        cfg: 'Config', file: 'BackboneFile'
    ) -> tuple['ConfigEdits', str]:
        rate_batch = batch_of_rate(
            args.config, cfg, args.processes, args.batch
        )
        return adapt(cfg, file, args.processes, args.batch, rate_batch)

    made = make_config(
        args.config, args.checkpoint, args.out, change, args.overwrite
    )
    _print_made(args, *made)


def _print_made(
    args: argparse.Namespace,
    edits: 'ConfigEdits',
    rate: str,
    file: 'BackboneFile',
) -> None:
    """Print what changed in the config that was made, and what to do next."""
    from .converters import describe

    if file.path != args.checkpoint.resolve():
        print(f'{args.checkpoint} is no backbone file: its backbone is now in')
        print(f'{from_here(file.path)}, {describe(file.backbone)}')
    reason = ''
    for change in edits.changes:
        if change.reason != reason:
            reason = change.reason
            print(f'\n# {reason}')
        old = 'not set' if change.old is None else repr(change.old)
        print(f'- {change.path} = {old}')
        print(f'+ {change.path} = {change.new!r}')
    if edits.notes:
        print('\nLeft as it is:')
        for note in edits.notes:
            print(f'  {note}')
    print(f'\n{args.out}: {len(edits.changes)} lines differ; {rate}')
    print(
        as_typed(
            'To check weights and settings without training: sce verify '
            f'{shlex.quote(str(args.out))} '
            f'{shlex.quote(str(from_here(file.path)))}'
        )
    )
    print(as_typed(f'Next: {training_command(args.out, args.processes)}'))


def training_command(config: Path, processes: int) -> str:
    """What trains a config, typed in the current folder."""
    path = shlex.quote(str(config))
    if processes == 1:
        return f'sce train {path}'
    # Of a clone; an installed package has no scripts.
    if Path('tools/dist_train.sh').exists():
        return f'tools/dist_train.sh {path} {processes}'
    return (
        f'torchrun --nproc_per_node {processes} -m sce_mm train {path} '
        '--launcher pytorch'
    )
