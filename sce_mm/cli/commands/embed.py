r"""Draw a map of the features of a folder of images by t-SNE.

sce embed CONFIG CHECKPOINT --random-init \
    --data path/to/images --out map.png

Sub-folders are classes and give the colours; without classes the images
themselves are drawn. Needs matplotlib.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from ... import register
from ..argument_types import OutputFile, positive_float
from ..evaluation_arguments import image_folder_parser, parse_networks

# Some of the formats that matplotlib writes.
FORMATS = ('.png', '.pdf', '.svg', '.jpg', '.jpeg', '.webp', '.tif', '.eps')


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    out = OutputFile(*FORMATS, by_suffix=True)
    parser = image_folder_parser(__doc__, out, 'map.png', limit=2000)
    parser.add_argument(
        '--nearby',
        type=positive_float,
        default=30,
        help='perplexity of t-SNE: about how many neighbours count',
    )
    parser.add_argument(
        '--thumbnails',
        action='store_true',
        help='draw images on the points also where there are classes',
    )
    return parse_networks(parser, argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    register()
    from mmengine.dist import is_main_process

    from ...utils.durable_files import replace_durably
    from ...visualization.embedding import (
        check_perplexity,
        draw_maps,
        project,
    )
    from ..evaluation import folder_networks, open_config, open_folder

    cfg = open_config(args)
    images = open_folder(args)
    check_perplexity(args.nearby, len(images.paths))
    images, found = folder_networks(cfg, args, images)
    check_perplexity(args.nearby, len(images.paths))
    if is_main_process():
        maps = {
            name: project(features.numpy(), args.nearby, args.seed)
            for name, features in found
        }
        figure = draw_maps(maps, images, args.thumbnails)
        kind = Path(args.out).suffix[1:]
        replace_durably(
            args.out, lambda out: figure.savefig(out, dpi=130, format=kind)
        )
        print(f'{args.out}: {len(images.paths)} images')
