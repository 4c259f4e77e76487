"""Measure linear SVMs on frozen features of VOC 2007, full and low-shot.

sce svm CONFIG CHECKPOINT --data data/VOCdevkit

The protocol of PCL: trained on trainval, mAP on test.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from ... import register
from ..argument_types import positive_float, positive_number
from ..evaluation_arguments import evaluation_parser, parse_networks


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = evaluation_parser(__doc__)
    parser.add_argument(
        '--data',
        required=True,
        type=Path,
        help='VOCdevkit, or the folder VOC2007 in it',
    )
    parser.add_argument(
        '--low-shot',
        nargs='*',
        type=positive_number,
        default=[1, 2, 4, 8, 16, 32, 64],
        metavar='K',
        help='images of each class, 5 draws each; none for the full set alone',
    )
    parser.add_argument(
        '--costs',
        nargs='+',
        type=positive_float,
        default=[0.5],
        help='C of the classifiers; one row for each',
    )
    return parse_networks(parser, argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    register()
    from ...evaluation.protocols.voc_svm import (
        svm_table,
        voc_images,
        voc_split,
    )
    from ..evaluation import networks, open_config, write_results

    cfg = open_config(args)
    images = [voc_images(args.data, name) for name in ('trainval', 'test')]
    rows = []
    for name, model in networks(cfg, args):
        train, test = (
            voc_split(model, each, args.batch_size, args.workers)
            for each in images
        )
        table = svm_table(train, test, args.low_shot, args.costs)
        rows += [{'network': name, **row} for row in table]
    write_results(
        rows,
        f'mAP (%) of linear SVMs on {len(images[1])} test images of VOC 2007, '
        f'{len(images[0])} to train on; low-shot: mean of 5 draws',
        args.out,
    )
