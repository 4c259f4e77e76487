r"""Write annotation files of COCO that hold a part of the images.

    sce coco-subset \
        data/coco/annotations/instances_train2017.json

writes subsets/instances_train2017.0@1.json, ...@2, ...@5 and ...@10 (per cent)
beside it, 0 being the seed. Which images are taken depends on their ids and
the seed alone, and each subset contains the smaller ones.

    sce coco-subset \
        data/coco/annotations/instances_train2017.json \
        --percent 100 --classes person car

keeps the annotations of two categories. Images stay, with none of them too.
Where an annotation has the id 0, which pycocotools counts as wrong, all are
numbered from 1.
"""

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ... import register
from ...utils.checks import did_you_mean, require_new
from ...utils.errors import UserError
from ...utils.text import listed
from ..argument_types import output_folder, percentage, seed_number
from ..arguments import ArgumentParser


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = ArgumentParser(__doc__)
    parser.add_argument('annotations', type=Path, help='file of COCO format')
    parser.add_argument(
        '--percent',
        type=percentage,
        nargs='+',
        default=[1, 2, 5, 10],
        help='parts of the images; 1 2 5 10 by default',
    )
    parser.add_argument(
        '--seed',
        type=seed_number,
        default=0,
        help='seed of the choice, 0 by default',
    )
    parser.add_argument(
        '--classes',
        nargs='+',
        metavar='NAME',
        help='categories to keep; all by default',
    )
    parser.add_argument(
        '--out-dir',
        type=output_folder,
        help='folder; by default subsets/ beside the annotations',
    )
    parser.add_argument(
        '--overwrite',
        action='store_true',
        help='replace files that exist',
    )
    return parser.parse_args(argv)


def of_classes(content: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """Annotations of some categories, and only these categories."""
    known = [category['name'] for category in content['categories']]
    if unknown := [name for name in names if name not in known]:
        raise UserError(
            f'--classes: no category is called {", ".join(unknown)}'
            f'{did_you_mean(unknown[0], known)}; there are {listed(known)}'
        )
    kept = [c for c in content['categories'] if c['name'] in names]
    ids = {category['id'] for category in kept}
    boxes = [a for a in content['annotations'] if a['category_id'] in ids]
    return content | {'categories': kept, 'annotations': boxes}


def describe(content: dict[str, Any]) -> str:
    """Counts, and the categories of which a subset has no box."""
    boxes = Counter(a['category_id'] for a in content['annotations'])
    absent = [c['name'] for c in content['categories'] if not boxes[c['id']]]
    text = f'{len(content["images"])} images, {boxes.total()} annotations'
    return text + f'; without one: {listed(absent)}' * bool(absent)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    register()
    from ...datasets.labels.coco_labels import (
        number_from_one,
        part_of,
        read_coco,
    )
    from ...utils.durable_files import write_durably

    content, problems = read_coco(args.annotations)
    if problems:
        raise UserError('\n'.join(problems))
    content = number_from_one(content)
    if args.classes:
        content = of_classes(content, args.classes)
    folder = args.out_dir or args.annotations.parent / 'subsets'
    start = f'{args.annotations.stem}.{args.seed}@'
    outs = {p: folder / f'{start}{p:g}.json' for p in args.percent}
    for out in outs.values():
        require_new(out, args.overwrite, '--out-dir')
    for percent, out in outs.items():
        part = part_of(content, percent, args.seed)
        write_durably(out, json.dumps(part).encode())
        print(f'{out}: {describe(part)}')
