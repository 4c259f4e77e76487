r"""Write a page of images beside their nearest neighbours.

sce neighbours CONFIG CHECKPOINT --random-init \
    --data path/to/images --out neighbours.html

The queries are images of the folder itself, which are left out of their own
rows. Below each neighbour stands its cosine similarity; if sub-folders are
classes, a whole frame is the class of the query and a dashed one another.
"""

import argparse
from collections.abc import Sequence

from ... import register
from ...utils.errors import UserError
from ...utils.text import printable
from ..argument_types import html_page, positive_number
from ..evaluation_arguments import image_folder_parser, parse_networks


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = image_folder_parser(
        __doc__, html_page, 'neighbours.html', limit=None
    )
    parser.add_argument(
        '--queries',
        type=positive_number,
        default=6,
        help='number of rows, each of one image',
    )
    parser.add_argument(
        '--shown',
        type=positive_number,
        help='neighbours in a row, 8 by default',
    )
    return parse_networks(parser, argv)


def columns(asked: int | None, images: int) -> int:
    """Number of neighbours to show of each image."""
    if images < 2:
        raise UserError('--data: expected two images or more, got one')
    if asked and asked >= images:
        raise UserError(
            f'--shown {asked}: each of {images} images has {images - 1} others'
        )
    return asked or min(8, images - 1)


def explanation(classes: bool) -> str:
    """What the page shows, for who did not run the command."""
    text = (
        'Each row begins with an image of the folder; beside it are the '
        'others that are most similar to the network, by cosine similarity (1 '
        'is equal). A useful pretraining brings the same kind of object '
        'together, wherever it is and whatever the light. Similarities of two '
        'networks cannot be compared.'
    )
    if classes:
        text += (
            ' A whole frame is an image of the same class, a dashed one of '
            'another.'
        )
    return text


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    register()
    from mmengine.dist import is_main_process

    from ...utils.durable_files import write_durably
    from ...visualization import page
    from ...visualization.sheets import choose_queries, neighbour_sheet
    from ..evaluation import folder_networks, open_config, open_folder

    cfg = open_config(args)
    images = open_folder(args)
    columns(args.shown, len(images.paths))
    images, found = folder_networks(cfg, args, images)
    shown = columns(args.shown, len(images.paths))
    queries = choose_queries(images, args.queries, args.seed)
    sheets = [
        neighbour_sheet(name, images, features, queries, shown)
        for name, features in found
    ]
    if is_main_process():
        folder = printable(str(args.data))
        text = page.page(
            f'Neighbours in {folder}',
            [
                page.title('Which images look alike to the network', folder),
                page.heading(
                    'Images and their neighbours',
                    explanation(bool(images.labels)),
                ),
                *sheets,
            ],
        )
        write_durably(args.out, text.encode())
        print(f'{args.out}: {len(queries)} of {len(images.paths)} images')
