"""Turn a detector's config into one that uses self-supervised weights rightly.

    python tools/make_detection_config.py MMDET_CONFIG BACKBONE OUT --gpus 8

MMDET_CONFIG is a path, or mmdet::name of a config that comes with mmdet; the
data set and its classes stay. BACKBONE is a file of extract_backbone.py; the
backbone of a training checkpoint is extracted beside OUT. OUT inherits
MMDET_CONFIG and says what differs, with the reasons, and works from any
folder. What cannot be done rightly is refused.
"""

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

# Arguments are read before the imports that take seconds.
__starts_light__ = True

import sce_mm
from sce_mm.cli.arguments import ArgumentParser
from sce_mm.cli.exit import run_main

if TYPE_CHECKING:
    from sce_mm.downstream import ConfigEdits


def parse_args() -> argparse.Namespace:
    parser = ArgumentParser(__doc__)
    parser.add_argument('config', help='path of a config, or mmdet::name')
    parser.add_argument(
        'checkpoint', type=Path, help='backbone file or training checkpoint'
    )
    parser.add_argument('out', type=Path, help='config to write, .py')
    parser.add_argument(
        '--gpus', dest='processes', type=int, default=1, metavar='N',
        help='processes of the training, for the learning rate; 1 by default',
    )  # fmt: skip
    parser.add_argument(
        '--batch', type=int, metavar='N',
        help="images of each process; the config's by default",
    )  # fmt: skip
    parser.add_argument(
        '--keep-heads', action='store_true',
        help='leave box, mask and RetinaNet heads as they are: without norms, '
        'and two layers instead of four convolutions (nine times the work)',
    )  # fmt: skip
    parser.add_argument(
        '--overwrite', action='store_true', help='replace OUT if it exists'
    )
    args = parser.parse_args()
    if args.out.suffix != '.py':
        parser.error(f'OUT is a config, its name ends in .py: {args.out}')
    for name, value in (('gpus', args.processes), ('batch', args.batch)):
        if value is not None and value < 1:
            parser.error(f'--{name} must be at least 1, got {value}')
    return args


def print_changes(edits: 'ConfigEdits') -> None:
    """Print what changed, and what did not."""
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


def main() -> None:
    args = parse_args()
    sce_mm.register()
    from sce_mm.cli.converters import describe
    from sce_mm.detection.adapt import adapt
    from sce_mm.downstream import make_config

    change = partial(
        adapt,
        processes=args.processes,
        batch=args.batch,
        keep_heads=args.keep_heads,
    )
    edits, rate, file = make_config(
        args.config, args.checkpoint, args.out, change, args.overwrite
    )
    if file.path != args.checkpoint.resolve():
        print(f'{args.checkpoint} is no backbone file: its backbone is now in')
        print(f'{file.path}, {describe(file.backbone)}')
    print_changes(edits)
    print(f'\n{args.out}: {len(edits.changes)} lines differ; {rate}')
    print(
        'To compare weights and settings: tools/verify_transfer.py '
        f'{args.out} {file.path}'
    )
    start = f'python tools/train.py {args.out}'
    if args.processes > 1:
        start = f'tools/dist_train.sh {args.out} {args.processes}'
    print(f'Next: {start}')


if __name__ == '__main__':
    run_main(main)
