"""Arguments of the pictures that are made of a folder of images."""

import argparse
from pathlib import Path

from ..evaluation.folder_images import FolderImages, read_folder
from ..evaluation.images import crop_pipeline
from ..evaluation.offline import add_image_arguments, evaluation_parser


def folder_parser(
    description: str | None, picture: str, limit: int | None
) -> argparse.ArgumentParser:
    """Networks, a folder, how its images are seen, and a picture.

    Args:
        description: Of the command.
        picture: Default name of the picture.
        limit: Default number of images.
    """
    parser = evaluation_parser(description, out='the picture')
    parser.set_defaults(out=picture)
    parser.add_argument('--data', required=True, help='folder of images')
    parser.add_argument(
        '--no-labels',
        action='store_true',
        help='sub-folders of --data are no classes',
    )
    parser.add_argument(
        '--max-images', type=int, default=limit, help='taken at random'
    )
    parser.add_argument(
        '--resize', type=int, default=256, help='shorter side, pixels'
    )
    parser.add_argument(
        '--crop', type=int, default=224, help='central square of it, pixels'
    )
    parser.add_argument('--seed', type=int, default=0)
    add_image_arguments(parser)
    return parser


def open_folder(args: argparse.Namespace) -> FolderImages:
    """The folder of a command line; makes the one of the picture."""
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    return read_folder(
        args.data,
        # Turned, as they are drawn.
        crop_pipeline(args.resize, args.crop, apply_orientation=True),
        args.max_images,
        not args.no_labels,
        args.seed,
    )
