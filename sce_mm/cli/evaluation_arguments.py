"""Options of the commands that evaluate features.

Nothing is imported that takes seconds, so that a wrong option is answered at
once.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from .argument_types import (
    OutputFile,
    checkpoint_file,
    config_name,
    device_name,
    existing_folder,
    image_folder,
    image_side,
    json_file,
    positive_number,
    seed_number,
    worker_number,
)
from .arguments import ArgumentParser, add_branch, add_config_arguments


def evaluation_parser(
    description: str | None,
    out: OutputFile = json_file,
    holds: str = 'the results',
) -> ArgumentParser:
    """Parser of the networks to evaluate, and of a file to write."""
    parser = ArgumentParser(description)
    parser.add_argument(
        'config',
        type=config_name,
        help='config of the network; for kNN and the linear probe it can '
        'name the labelled images too, in an OnlineKNNHook or as the training '
        'and validation data of a classifier',
    )
    parser.add_argument(
        'checkpoint',
        nargs='*',
        type=checkpoint_file,
        help='checkpoints of SCE, of other code that the transfer reader '
        'knows, or backbones exported from them',
    )
    parser.add_argument(
        '--random-init',
        action='store_true',
        help='evaluate the network before any training too',
    )
    parser.add_argument('--out', type=out, help=f'write {holds} to this file')
    add_network_use(parser)
    add_config_arguments(parser)
    return parser


def add_network_use(parser: ArgumentParser) -> None:
    """Add which backbone is taken, and how images go through it."""
    add_branch(parser)
    parser.add_argument(
        '--device',
        type=device_name,
        help='where the network runs; by default a GPU if there is one',
    )
    parser.add_argument(
        '--batch-size',
        type=positive_number,
        default=64,
        help='images at a time',
    )
    parser.add_argument(
        '--workers',
        type=worker_number,
        default=2,
        help='processes that load images',
    )


def add_image_folder(parser: ArgumentParser) -> None:
    """Add a folder of images, with classes or without."""
    parser.add_argument(
        '--data',
        required=True,
        type=image_folder,
        metavar='DIR',
        help='folder or list of images',
    )
    parser.add_argument(
        '--no-labels',
        action='store_true',
        help='sub-folders of --data are no classes',
    )


def add_crop(parser: ArgumentParser, default: str) -> None:
    """Add how large images are taken; ``default`` says it of the crop."""
    parser.add_argument(
        '--crop',
        type=image_side,
        help=f'central square of these images, pixels; by default {default}',
    )
    parser.add_argument(
        '--resize',
        type=image_side,
        help='shorter side before that; by default 8/7 of it, or the same up '
        'to 96 pixels',
    )


def class_folder_parser(description: str | None) -> ArgumentParser:
    """Parser of networks and of two folders of class folders."""
    parser = evaluation_parser(description)
    parser.add_argument(
        '--bank',
        type=existing_folder,
        metavar='DIR',
        help='labelled images to compare with or to train on, one folder for '
        "each class, instead of the config's",
    )
    parser.add_argument(
        '--query',
        type=existing_folder,
        metavar='DIR',
        help='labelled images to classify, in folders of the same names',
    )
    add_crop(parser, 'the size of the images that the config trains on')
    return parser


def image_folder_parser(
    description: str | None, kind: OutputFile, out: str, limit: int | None
) -> ArgumentParser:
    """Parser of networks, images (``limit`` at most), and an output file."""
    parser = evaluation_parser(description, kind, 'what is drawn')
    parser.set_defaults(out=Path(out))
    add_image_folder(parser)
    parser.add_argument(
        '--max-images',
        type=positive_number,
        default=limit,
        help='number of images, taken at random'
        + '; all by default' * (not limit),
    )
    parser.add_argument(
        '--resize',
        type=image_side,
        default=256,
        help='shorter side, pixels',
    )
    parser.add_argument(
        '--crop',
        type=image_side,
        default=224,
        help='central square of it, pixels',
    )
    parser.add_argument(
        '--seed',
        type=seed_number,
        default=0,
        help='seed of what is random, 0 by default',
    )
    return parser


def parse_networks(
    parser: ArgumentParser, argv: Sequence[str] | None
) -> argparse.Namespace:
    """Parse the command line; at least one network has to be named."""
    args = parser.parse_args(argv)
    if not args.checkpoint and not args.random_init:
        parser.error(
            'nothing to evaluate: name a checkpoint, or --random-init for '
            'the network before training'
        )
    return args
