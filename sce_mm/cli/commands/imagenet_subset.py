r"""Write a list of some training images of ImageNet, with labels.

1 % of every class, the same in every run (the first of the 10 % of a seed):

    sce imagenet-subset \
        data/imagenet/train data/imagenet/meta/train_1percent.txt --share 0.01

The images of a list of bare file names, such as SimCLR's 1percent.txt:

    sce imagenet-subset \
        data/imagenet/train data/imagenet/meta/train_1percent.txt \
        --names 1percent.txt

All images of some classes, numbered from 0:

    sce imagenet-subset \
        data/imagenet/train data/imagenet/meta/train_in100.txt \
        --classes imagenet100

In a config, with labels:

    dataset = dict(
        type='ImageNet1k',
        data_root='data/imagenet',
        split='train',
        ann_file='meta/train_1percent.txt',
        pipeline=...,
    )

and, from a list written with --bare, without:

    dataset = dict(
        type='UnlabelledImages',
        data_root='data/imagenet/train',
        ann_file='../meta/names.txt',
        pipeline=...,
    )
"""

import argparse
import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ... import register
from ...utils.checks import require_outside
from ...utils.errors import UserError
from ...utils.text import listed, read_lines
from ..argument_types import number_above, output_file, seed_number
from ..arguments import ArgumentParser

Samples = dict[str, list[str]]


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = ArgumentParser(__doc__)
    parser.add_argument('root', type=Path, help='folder of class folders')
    parser.add_argument('out', type=output_file, help='list to write')
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        '--share',
        type=number_above(0, 1, ', such as 0.1 for 10 %'),
        help='share of all images, equally of classes',
    )
    which.add_argument(
        '--names', type=Path, metavar='FILE', help='file names, one per line'
    )
    parser.add_argument(
        '--classes',
        metavar='FILE',
        help="ids of classes, one per line, or 'imagenet100'; a label is the "
        'place in their sorted list (default: all folders)',
    )
    parser.add_argument(
        '--seed', type=seed_number, default=0, help='seed of the choice'
    )
    parser.add_argument(
        '--bare', action='store_true', help='leave the labels out'
    )
    return parser.parse_args(argv)


def keep_classes(found: Samples, which: str) -> Samples:
    """Only the classes of a list."""
    from ...datasets import IMAGENET100_IDS

    imagenet100 = which == 'imagenet100'
    if not imagenet100 and not Path(which).is_file():
        raise UserError(
            f'--classes: there is no file {which}; expected one with an id a '
            'line, or imagenet100'
        )
    ids = IMAGENET100_IDS if imagenet100 else read_lines(Path(which))
    if missing := [name for name in ids if name not in found]:
        raise UserError(
            f'--classes: {len(missing)} of {len(ids)} classes have no folder '
            f'with images: {listed(missing)}'
        )
    return {name: found[name] for name in ids}


def choose(found: Samples, count: int, seed: int) -> Samples:
    """As many images of each class, by the hash of seed and path.

    A smaller choice with the same seed is part of a larger one.
    """
    if count < 1:
        raise UserError(
            f'--share: {count} images of each class: ask for a larger share'
        )
    for name, files in found.items():
        if len(files) < count:
            raise UserError(
                f'class {name} has {len(files)} images, {count} are asked for'
            )

    def draw(file: str) -> bytes:
        return hashlib.sha256(os.fsencode(f'{seed}/{file}')).digest()

    return {
        name: sorted(sorted(files, key=draw)[:count])
        for name, files in found.items()
    }


def look_up(found: Samples, names: list[str]) -> Samples:
    """The files of these names, in whatever class they lie."""
    if not names:
        raise UserError('--names: there is no name in the file')
    wanted = set(names)
    chosen = {
        name: [file for file in files if Path(file).name in wanted]
        for name, files in found.items()
    }
    counts = Counter(Path(f).name for files in chosen.values() for f in files)
    wrong = [name for name in names if counts[name] != 1]
    if wrong or len(wanted) < len(names):
        example = f': {wrong[0]} is there {counts[wrong[0]]} times'
        raise UserError(
            f'--names: {len(names)} names must be different, and each that '
            'of one '
            f'file; {len(wrong)} are not{example if wrong else ""}'
        )
    return chosen


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    require_outside(args.out, [args.root])
    register()
    from ...datasets.labels import class_lists
    from ...utils.durable_files import write_durably

    found = class_lists.find_classes(args.root)
    if args.classes is not None:
        found = keep_classes(found, args.classes)
    if args.share is not None:
        total = sum(map(len, found.values()))
        count = round(args.share * total / len(found))
        found = choose(found, count, args.seed)
    if args.names is not None:
        if not args.names.is_file():
            raise UserError(f'--names: there is no file {args.names}')
        found = look_up(found, read_lines(args.names))
    write_durably(args.out, class_lists.class_lines(found, args.bare).encode())
    print(f'{args.out}: {class_lists.count_samples(found)}')
