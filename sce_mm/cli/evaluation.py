"""Networks and images of an evaluation, from a parsed command line."""

import argparse
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import init_dist, is_main_process
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmengine.runner import set_random_seed
from mmpretrain.registry import MODELS
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ..config.overrides import override
from ..config.reading import read_config, require_model
from ..evaluation.features import (
    Labelled,
    labelled_features,
    readable_features,
)
from ..evaluation.images import FolderImages, crop_pipeline, read_folder
from ..evaluation.loaders import labelled_loaders, seed_of
from ..transfer import extract_backbone, load_backbone, read_checkpoint
from ..transfer.initial_weights import find_sources
from ..transfer.metadata import require_settings, settings_of
from ..utils.durable_files import write_json
from ..utils.errors import UserError
from ..utils.random_state import preserve_rng
from ..utils.text import RANDOM
from .config_edits import set_knn
from .exit import naming, naming_options
from .machine import choose_device, require_launched

# Processes wait for each other while one fits a classifier.
PATIENCE = timedelta(days=2)


def open_config(args: argparse.Namespace) -> Config:
    """Config of a parsed command line; connects the processes.

    Raises:
        FileNotFoundError: There is no such config or folder.
        ConfigError: The config cannot be read.
        UserError: ``--bank`` is named without ``--query``, or the reverse.
    """
    require_launched(args.launcher)
    args.device = choose_device(args.device)
    # Otherwise each initialised parameter is a line on the screen.
    MMLogger.get_instance('evaluation').setLevel('WARNING')
    cfg = read_config(args.config)
    require_model(cfg, args.config)
    override(cfg, args.cfg_options)
    if 'bank' in args:
        _set_class_folders(cfg, args)
    init_default_scope(cfg.get('default_scope', 'mmpretrain'))
    if args.launcher != 'none':
        backend = 'nccl' if args.device.startswith('cuda') else 'gloo'
        if args.launcher == 'pytorch' and backend == 'gloo':
            # mmengine would select a GPU first.
            torch.distributed.init_process_group(backend, timeout=PATIENCE)
        else:
            seconds = int(PATIENCE.total_seconds())
            init_dist(args.launcher, backend, timeout=seconds)
    return cfg


def networks(
    cfg: Config, args: argparse.Namespace
) -> Iterator[tuple[str, nn.Module]]:
    """Models to be evaluated on their online branch, by name.

    All files are read before the first model is handed out, so that none is
    refused after hours of work.
    """
    models = {}
    if args.random_init:
        models[RANDOM] = initial_model(cfg)
    for path in args.checkpoint:
        model = models[path] = initial_model(cfg)
        with naming(path):
            checkpoint = read_checkpoint(path, args.trust)
            backbone = extract_backbone(checkpoint, args.branch)
            pixels = settings_of({}, model.data_preprocessor)
            require_settings(backbone.meta, pixels, path)
            load_backbone(model.backbone, backbone)
    for name in [*models]:
        yield name, models.pop(name).to(args.device)


def initial_model(cfg: Config) -> Any:
    """Model of the config as its seed initialises it, without any file."""
    with preserve_rng():
        set_random_seed(seed_of(cfg))
        model = MODELS.build(cfg.model)
        # Takes files of weights out: what is called random is random.
        find_sources(model, None, None)
        model.init_weights()
    return model


def _set_class_folders(cfg: Config, args: argparse.Namespace) -> None:
    if bool(args.bank) != bool(args.query):
        raise UserError(
            '--bank and --query go together: folders of class folders, such '
            'as --bank data/mine/train --query data/mine/test'
        )
    if args.bank:
        names = 'bank', 'query', 'resize', 'crop', 'batch_size', 'workers'
        set_knn(cfg, *(getattr(args, name) for name in names))


def labelled_networks(
    cfg: Config,
    args: argparse.Namespace,
    check: Callable[[DataLoader], object],
) -> Iterator[tuple[str, Labelled, Labelled]]:
    """Each network's name, and its features of the bank and the query set.

    ``check`` looks at the bank before there is any work.
    """
    bank, query = labelled_loaders(cfg)
    check(bank)
    for name, model in networks(cfg, args):
        yield (
            name,
            labelled_features(model, bank, 'bank'),
            labelled_features(model, query, 'query set'),
        )


def open_folder(args: argparse.Namespace) -> FolderImages:
    """The images of ``--data``."""
    # Turned by their EXIF tags, as they are drawn.
    with naming_options('crop', 'resize'):
        pipeline = crop_pipeline(
            args.resize, args.crop, apply_orientation=True
        )
    with naming('--data'):
        return read_folder(
            args.data, pipeline, args.max_images, not args.no_labels, args.seed
        )


def folder_networks(
    cfg: Config, args: argparse.Namespace, images: FolderImages
) -> tuple[FolderImages, list[tuple[str, Tensor]]]:
    """The images that can be read, and their features by each network.

    A warning names the others: a drawing does without them, where figures of
    a protocol have to be of all images. Networks have short names.
    """
    found = []
    numbers = list[int]()
    for name, model in networks(cfg, args):
        with naming('--data'):
            numbers, features = readable_features(
                model, images.dataset, args.batch_size, args.workers
            )
        found.append(('/'.join(Path(name).parts[-2:]), features))
    return images.take(numbers), found


def write_results(
    rows: list[dict[str, Any]], heading: str, out: str | None
) -> None:
    """Print a table and write the json file, on the main process.

    All rows have the same keys; the heading says what was measured.
    """
    if not is_main_process():
        return
    table = [list(rows[0])]
    for row in rows:
        shown = [
            f'{x:.4g}' if isinstance(x, float) else str(x)
            for x in row.values()
        ]
        table.append(shown)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    print(heading)
    for line in table:
        cells = zip(line, widths, strict=True)
        print('  '.join(cell.ljust(width) for cell, width in cells).rstrip())
    if out is not None:
        write_json(out, rows)
