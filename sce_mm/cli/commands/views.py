"""Draw images, their regions and the views that a training will see.

    sce views CONFIG --data DIR
    sce views CONFIG --data DIR --regions 128 --out regions.html

Writes one HTML file that needs no others. The views are those of the first
epochs, drawn as in the training of the same config and seed.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from ... import register
from ..argument_types import html_page, positive_number
from ..arguments import (
    ArgumentParser,
    add_config_arguments,
    add_pretraining_arguments,
)
from ..console import hold_output, release_output


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = ArgumentParser(__doc__)
    add_pretraining_arguments(parser)
    parser.add_argument(
        '--out',
        type=html_page,
        default=Path('views.html'),
        help='the page; views.html by default',
    )
    parser.add_argument(
        '--count',
        type=positive_number,
        default=6,
        metavar='N',
        help='number of images, 6 by default',
    )
    add_config_arguments(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    hold_output()
    register()
    from ...config.check import require_pretraining
    from ...utils.durable_files import write_durably
    from ...visualization.regions import views_page
    from ..config_edits import load_config
    from ..image_options import naming_images, set_images

    cfg = load_config(args)
    require_pretraining(cfg, args.config)
    set_images(cfg, args)
    seed = (cfg.get('randomness') or {}).get('seed') or 0
    with naming_images(args):
        text = views_page(cfg, Path(args.config).stem, args.count, seed)
    write_durably(args.out, text.encode())
    release_output()
    print(f'{args.out}: open it in a browser')
