"""Turn a detector's config into one that uses self-supervised weights rightly.

    python tools/make_detection_config.py MMDET_CONFIG BACKBONE OUT --gpus 8

MMDET_CONFIG is a path, or mmdet::name of a config that comes with mmdet; the
data set and its classes stay. BACKBONE is a file of extract_backbone.py; of a
training checkpoint the backbone is extracted beside OUT. OUT inherits
MMDET_CONFIG and says what differs, with the reasons, and works from any
folder. What cannot be done rightly is refused.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from torch import Tensor

from sce_mm.checkpoints.file_kind import TORCH, kind_of
from sce_mm.checkpoints.reading import meta_of
from sce_mm.cli.converters import describe
from sce_mm.cli.exit import run_main
from sce_mm.detection.adapt import Plan, adapt, load_source, write_config
from sce_mm.transfer import (
    Backbone,
    CheckpointError,
    extract_backbone,
    read_checkpoint,
    save_backbone,
)
from sce_mm.transfer.metadata import FORMAT


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('config', help='path, or mmdet::name')
    parser.add_argument(
        'checkpoint', type=Path, help='backbone file or training checkpoint'
    )
    parser.add_argument('out', type=Path, help='config to write, .py')
    parser.add_argument(
        '--gpus',
        type=int,
        default=1,
        metavar='N',
        help='processes of the training, for the learning rate; 1 by default',
    )
    parser.add_argument(
        '--batch',
        type=int,
        metavar='N',
        help="images of each process; the config's by default",
    )
    parser.add_argument(
        '--keep-heads',
        action='store_true',
        help='leave box, mask and RetinaNet heads as they are: without norms, '
        'and two layers instead of four convolutions (nine times the work)',
    )
    parser.add_argument(
        '--overwrite', action='store_true', help='replace OUT if it exists'
    )
    return parser.parse_args()


def make(args: argparse.Namespace) -> None:
    """Read, change, write, report.

    Raises:
        ValueError: The config, the file or a number is not as it should be.
        FileExistsError: OUT exists, or is the config itself.
    """
    out = args.out
    if out.suffix != '.py':
        raise ValueError(f'OUT is a config, its name ends in .py: {out}')
    for name in ('gpus', 'batch'):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise ValueError(f'--{name} must be at least 1, got {value}')
    source = Path(args.config)
    if source.exists() and out.exists() and out.samefile(source):
        raise FileExistsError('OUT is the config itself: name another')
    if out.exists() and not args.overwrite:
        raise FileExistsError(
            f'{out} exists: name another file or add --overwrite'
        )
    path, tensors, meta = read_backbone(args)
    begin = load_source(args.config)
    plan, rate = adapt(
        begin.cfg,
        path,
        tensors,
        meta,
        args.gpus,
        args.batch,
        args.keep_heads,
    )
    if path != args.checkpoint.resolve():
        out.parent.mkdir(parents=True, exist_ok=True)
        save_backbone(path, Backbone(tensors, meta))
        print(f'{args.checkpoint} is no backbone file: its backbone is now in')
        print(f'{path}, {describe(Backbone(tensors, meta))}')
    origin = meta['method'] or meta['source']
    weights = f'{meta["arch"] or "ResNet"} of {origin}, {meta["sha256"][:8]}'
    title = f'{args.config.rsplit("/", 1)[-1]}, from {weights}.'
    write_config(plan, begin.base, path, out, title)
    report(plan, rate, args, path)


def read_backbone(
    args: argparse.Namespace,
) -> tuple[Path, dict[str, Tensor], dict[str, Any]]:
    """Tensors and meta block, and the file that is to be loaded.

    That is another one, beside OUT, if mmengine could not load the backbone
    from this one.

    Raises:
        CheckpointError: There is no backbone in it.
        FileExistsError: The other file exists.
    """
    path = args.checkpoint.resolve()
    try:
        checkpoint = read_checkpoint(path)
        tensors, meta = extract_backbone(checkpoint)
    except CheckpointError as error:
        if ' --' not in str(error):
            raise
        raise CheckpointError(
            f'{error}. These are options of '
            'tools/model_converters/extract_backbone.py: extract the '
            'backbone with it and name its file here'
        ) from error
    if meta_of(checkpoint).get('format') != FORMAT or kind_of(path) != TORCH:
        path = args.out.resolve().with_name(f'{args.out.stem}_backbone.pth')
        if path.exists() and (
            not args.overwrite or path.samefile(args.checkpoint)
        ):
            raise FileExistsError(
                f'the backbone of {args.checkpoint} would be written to '
                f'{path}, which exists: name another OUT, or add --overwrite'
            )
    return path, tensors, meta


def report(
    plan: Plan, rate: str, args: argparse.Namespace, path: Path
) -> None:
    """Print what changed, and what did not."""
    reason = ''
    for change in plan.changes:
        if change.reason != reason:
            reason = change.reason
            print(f'\n# {reason}')
        print(f'- {change.path} = {change.old!r}')
        print(f'+ {change.path} = {change.new!r}')
    if plan.notes:
        print('\nLeft as it is:')
        for note in plan.notes:
            print(f'  {note}')
    print(f'\n{args.out}: {len(plan.changes)} lines differ; {rate}')
    start = (
        f'python tools/train.py {args.out}'
        if args.gpus == 1
        else f'tools/dist_train.sh {args.out} {args.gpus}'
    )
    print(f'To see what arrives: tools/verify_transfer.py {args.out} {path}')
    print(f'Next: {start}')


def main() -> None:
    try:
        make(parse_args())
    except (ValueError, OSError) as error:
        sys.exit(f'error: {error}')


if __name__ == '__main__':
    run_main(main)
