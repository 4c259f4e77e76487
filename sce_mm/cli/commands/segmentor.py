"""Adapt a segmentor's config to self-supervised weights.

    sce segmentor MMSEG_CONFIG BACKBONE OUT --gpus 4

MMSEG_CONFIG is a path, or the name of a config that comes with mmseg; the
data set, its classes, the crop and the head stay. BACKBONE is a file of
sce extract; the backbone of a training checkpoint is extracted beside
OUT. OUT inherits MMSEG_CONFIG, gives the reason for each line that it
changes, and works from any folder. A config that cannot be adapted is
refused, with the reason.
"""

import argparse
from collections.abc import Sequence

from ... import register
from ..arguments import ArgumentParser
from ..config_maker import add_maker_arguments, make_adapted


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = ArgumentParser(__doc__)
    add_maker_arguments(parser, 'mmseg')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    register()
    from ...segmentation.segmentor import adapt

    make_adapted(args, adapt)
