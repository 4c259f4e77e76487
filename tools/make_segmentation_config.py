"""Turn a segmentor's config into one that uses our weights rightly.

    python tools/make_segmentation_config.py MMSEG_CONFIG BACKBONE OUT --gpus 4

MMSEG_CONFIG is a path, or mmseg::name of a config that comes with mmseg; the
data set, its classes, the crop and the head stay. BACKBONE is a file of
extract_backbone.py; the backbone of a training checkpoint is extracted beside
OUT. OUT inherits MMSEG_CONFIG and says what differs, with the reasons, and
works from any folder. What cannot be done rightly is refused.
"""

import argparse
from functools import partial

# Arguments are read before the imports that take seconds.
__starts_light__ = True

import sce_mm
from sce_mm.cli.arguments import ArgumentParser
from sce_mm.cli.config_maker import (
    add_maker_arguments,
    parse_maker_arguments,
    print_made,
)
from sce_mm.cli.exit import run_main


def parse_args() -> argparse.Namespace:
    parser = ArgumentParser(__doc__)
    add_maker_arguments(parser, 'mmseg')
    return parse_maker_arguments(parser)


def main() -> None:
    args = parse_args()
    sce_mm.register()
    from sce_mm.downstream import make_config
    from sce_mm.downstream.schedule import batch_in_name
    from sce_mm.segmentation.segmentor import adapt

    change = partial(
        adapt,
        processes=args.processes,
        batch=args.batch,
        base_batch=batch_in_name(args.config),
    )
    made = make_config(
        args.config, args.checkpoint, args.out, change, args.overwrite
    )
    print_made(args, *made)


if __name__ == '__main__':
    run_main(main)
