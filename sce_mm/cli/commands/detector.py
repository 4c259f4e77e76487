"""Adapt a detector's config to self-supervised weights.

    sce detector MMDET_CONFIG BACKBONE OUT --gpus 8

MMDET_CONFIG is a path, or the name of a config that comes with mmdet; the
data set and its classes stay. BACKBONE is a file of sce extract; the
backbone of a training checkpoint is extracted beside OUT. OUT inherits
MMDET_CONFIG, gives the reason for each line that it changes, and works from
any folder. A config that cannot be adapted is refused, with the reason.
"""

import argparse
from collections.abc import Sequence
from functools import partial

from ... import register
from ..arguments import ArgumentParser
from ..config_maker import add_maker_arguments, make_adapted


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = ArgumentParser(__doc__)
    add_maker_arguments(parser, 'mmdet')
    parser.add_argument(
        '--keep-heads', action='store_true',
        help='leave box, mask and RetinaNet heads as they are: without norms, '
        'and two layers instead of four convolutions (nine times the work)',
    )  # fmt: skip
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    register()
    from ...detection.adapt import adapt

    make_adapted(args, partial(adapt, keep_heads=args.keep_heads))
