"""From the command line of an offline evaluation to networks and a table.

Nothing is imported at the top that takes seconds: see
:mod:`sce_mm.cli.arguments`.
"""

import argparse
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .arguments import ArgumentParser, add_shared_arguments

if TYPE_CHECKING:
    from mmengine.config import Config
    from torch import nn

    from ..evaluation.images import FolderImages

INITIAL = 'random initialisation'
# Processes wait for each other while one fits a classifier.
_PATIENCE = timedelta(days=2)


def evaluation_parser(
    description: str | None, out: str = 'write the results to this json file'
) -> argparse.ArgumentParser:
    """Parser with the arguments that the offline evaluations share.

    Args:
        description: Docstring of the command.
        out: Help of ``--out``.
    """
    parser = ArgumentParser(description)
    parser.add_argument(
        'config',
        help='config of the network; for kNN and the linear probe it can '
        'name the labelled images too, in an OnlineKNNHook or as the training '
        'and validation data of a classifier',
    )
    parser.add_argument(
        'checkpoint',
        nargs='*',
        help='checkpoint(s) of SCE, of other code that the transfer reader '
        'knows, or backbones exported from them',
    )
    parser.add_argument(
        '--random-init',
        action='store_true',
        help='also evaluate the network before any training',
    )
    parser.add_argument(
        '--branch',
        choices=['online', 'momentum'],
        default='online',
        help='branch of a checkpoint whose backbone is evaluated',
    )
    parser.add_argument('--out', help=out)
    parser.add_argument(
        '--device',
        help='device of the network, cuda or cpu; by default the GPU if there '
        'is one',
    )
    add_shared_arguments(parser)
    return parser


def add_image_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of evaluations on folders of images."""
    parser.add_argument(
        '--batch-size',
        type=int,
        default=64,
        help='number of images that the network takes at a time',
    )
    parser.add_argument(
        '--workers',
        type=int,
        default=2,
        help='number of processes that load images',
    )


def add_class_folder_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of evaluations on two folders of class folders."""
    for name, what in (
        ('bank', 'labelled images to compare with or to train on'),
        (
            'query',
            'labelled images to classify; classes are those of the bank'
            ' by the names of their folders',
        ),
    ):
        parser.add_argument(
            f'--{name}',
            metavar='DIR',
            help=f"{what}, one folder for each class, instead of the config's",
        )
    parser.add_argument(
        '--crop',
        type=int,
        help='side in pixels of the central square that is cut from these '
        'images; by default the size of the images that the config trains on',
    )
    parser.add_argument(
        '--resize',
        type=int,
        help='shorter side in pixels to which images are scaled before that; '
        'by default 8/7 of the crop, or the same up to 96 pixels',
    )
    add_image_arguments(parser)


def set_class_folders(cfg: 'Config', args: argparse.Namespace) -> None:
    """Write the folders of a parsed command line into the config, if any.

    Raises:
        FileNotFoundError: One is not there.
        ValueError: One is named without the other.
    """
    if bool(args.bank) != bool(args.query):
        raise ValueError(
            '--bank and --query go together: folders of class folders, such '
            'as --bank data/mine/train --query data/mine/test'
        )
    if args.bank:
        from .config_edits import set_knn

        set_knn(
            cfg,
            args.bank,
            args.query,
            args.resize,
            args.crop,
            args.batch_size,
            args.workers,
        )


def open_config(args: argparse.Namespace) -> 'Config':
    """Read the config of a parsed command line and connect the processes.

    Raises:
        FileNotFoundError: There is no such config or checkpoint.
        ConfigError: The config cannot be read.
        ValueError: Nothing to evaluate was named.
    """
    for path in args.checkpoint:
        if not Path(path).is_file():
            raise FileNotFoundError(f'there is no file {path}')
    if not args.checkpoint and not args.random_init:
        raise ValueError(
            'nothing to evaluate: name a checkpoint, or --random-init for '
            'the network before training'
        )
    import torch
    from mmengine.dist import init_dist
    from mmengine.logging import MMLogger
    from mmengine.registry import init_default_scope

    import sce_mm

    from ..config import override, read_config

    sce_mm.register()
    if args.device is None:
        args.device = 'cuda' if torch.cuda.is_available() else 'cpu'
    # Otherwise each initialised parameter is a line on the screen.
    MMLogger.get_instance('evaluation').setLevel('WARNING')
    cfg = read_config(args.config)
    override(cfg, args.cfg_options)
    init_default_scope(cfg.get('default_scope', 'mmpretrain'))
    if args.launcher != 'none':
        backend = 'nccl' if args.device.startswith('cuda') else 'gloo'
        if args.launcher == 'pytorch' and backend == 'gloo':
            # mmengine would select a GPU first.
            torch.distributed.init_process_group(backend, timeout=_PATIENCE)
        else:
            seconds = int(_PATIENCE.total_seconds())
            init_dist(args.launcher, backend, timeout=seconds)
    return cfg


def networks(
    cfg: 'Config', args: argparse.Namespace
) -> Iterator[tuple[str, 'nn.Module']]:
    """Yield the networks to evaluate, each with its name."""
    from ..transfer import (
        check_pixels,
        extract_backbone,
        load_backbone,
        read_checkpoint,
    )

    if args.random_init:
        yield INITIAL, initial_model(cfg).to(args.device)
    for path in args.checkpoint:
        model = initial_model(cfg)
        checkpoint = read_checkpoint(path, args.trust)
        weights, meta = extract_backbone(checkpoint, args.branch)
        check_pixels(meta, model.data_preprocessor, path)
        load_backbone(model.backbone, weights, meta)
        yield path, model.to(args.device)


def initial_model(cfg: 'Config') -> Any:
    """Model of the config as its seed initialises it, without any file."""
    from mmengine.runner import set_random_seed
    from mmpretrain.registry import MODELS

    from ..evaluation.loaders import seed_of
    from ..transfer.initial_weights import find_sources
    from ..utils.random_state import preserve_rng

    with preserve_rng():
        set_random_seed(seed_of(cfg))
        model = MODELS.build(cfg.model)
        # Takes files of weights out: what is called random is random.
        find_sources(model, None, None)
        model.init_weights()
    return model


def write_table(
    rows: list[dict[str, Any]], heading: str, out: str | None
) -> None:
    """Print a table and write the json file, on the main process.

    Args:
        rows: Results of the networks, all with the same keys.
        heading: What was measured, on what.
        out: Path of the json file.
    """
    from mmengine.dist import is_main_process

    if not is_main_process():
        return
    table = [list(rows[0])]
    for row in rows:
        table.append(
            [
                f'{x:.4g}' if isinstance(x, float) else str(x)
                for x in row.values()
            ]
        )
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    print(heading)
    for line in table:
        cells = zip(line, widths, strict=True)
        print('  '.join(cell.ljust(width) for cell, width in cells).rstrip())
    if out is not None:
        Path(out).parent.mkdir(parents=True, exist_ok=True)
        Path(out).write_text(json.dumps(rows, indent=2) + '\n')


def folder_parser(
    description: str | None, picture: str, limit: int | None
) -> argparse.ArgumentParser:
    """Parser of commands that draw a folder of images.

    Args:
        description: Docstring of the command.
        picture: Default file of the picture.
        limit: Default number of images.
    """
    parser = evaluation_parser(description, out='file of the picture')
    parser.set_defaults(out=picture)
    parser.add_argument('--data', required=True, help='folder of images')
    parser.add_argument(
        '--no-labels',
        action='store_true',
        help='do not take the sub-folders of --data for classes',
    )
    parser.add_argument(
        '--max-images',
        type=int,
        default=limit,
        help='largest number of images; they are chosen at random',
    )
    parser.add_argument(
        '--resize',
        type=int,
        default=256,
        help='shorter side in pixels to which images are scaled',
    )
    parser.add_argument(
        '--crop',
        type=int,
        default=224,
        help='side in pixels of the central square that is cut from that',
    )
    parser.add_argument(
        '--seed', type=int, default=0, help='seed of the choice of images'
    )
    add_image_arguments(parser)
    return parser


def open_folder(args: argparse.Namespace) -> 'FolderImages':
    """Read the images of a command line; makes the picture's folder."""
    from ..evaluation.images import crop_pipeline, read_folder

    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    return read_folder(
        args.data,
        # Turned, as they are drawn.
        crop_pipeline(args.resize, args.crop, apply_orientation=True),
        args.max_images,
        not args.no_labels,
        args.seed,
    )
