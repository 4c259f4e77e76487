"""Networks and data of the offline evaluations, from a command line."""

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, DictAction
from mmengine.dist import init_dist
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmengine.runner import set_random_seed
from mmpretrain.registry import MODELS
from torch import nn
from torch.utils.data import DataLoader

from ..transfer import extract_backbone, load_backbone, read_checkpoint
from ..transfer.meta_hook import describe_input
from .loaders import build_labelled_loader
from .rng import preserve_rng

INITIAL = 'random initialisation'


def evaluation_parser(description: str | None) -> argparse.ArgumentParser:
    """Arguments that the offline evaluations share."""
    parser = argparse.ArgumentParser(
        description=description,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument(
        'config',
        help='config of the network, with an OnlineKNNHook that names the '
        'labelled images',
    )
    parser.add_argument(
        'checkpoint',
        nargs='*',
        help='SCE checkpoint(s), or backbones exported from them',
    )
    parser.add_argument(
        '--random-init',
        action='store_true',
        help='evaluate the network before any training too',
    )
    parser.add_argument(
        '--branch',
        choices=['online', 'momentum'],
        default='online',
        help='whose backbone of a checkpoint to take',
    )
    parser.add_argument(
        '--trust',
        action='store_true',
        help='unpickle freely: only for checkpoints of people that you would '
        'let run programs on this machine',
    )
    parser.add_argument('--out', help='write the results to this json file')
    parser.add_argument(
        '--device',
        default='cuda' if torch.cuda.is_available() else 'cpu',
        help='where the network runs',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        help='overrides of the config, key=value with dots in the key',
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='how the processes of a distributed run were started',
    )
    return parser


def open_config(args: argparse.Namespace) -> Config:
    """Config of a parsed command line; connects the processes.

    Raises:
        FileNotFoundError: There is no such config or checkpoint.
        ValueError: Nothing to evaluate was named.
    """
    for path in (args.config, *args.checkpoint):
        if not Path(path).is_file():
            raise FileNotFoundError(f'there is no file {path}')
    if not args.checkpoint and not args.random_init:
        raise ValueError(
            'nothing to evaluate: name a checkpoint, or --random-init for '
            'the network before training'
        )
    # Otherwise each initialised parameter is a line on the screen.
    MMLogger.get_instance('evaluation').setLevel('WARNING')
    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(args.cfg_options)
    init_default_scope(cfg.get('default_scope', 'mmpretrain'))
    if args.launcher != 'none':
        backend = 'nccl' if args.device.startswith('cuda') else 'gloo'
        if args.launcher == 'pytorch' and backend == 'gloo':
            # mmengine would select a GPU first.
            torch.distributed.init_process_group(backend)
        else:
            init_dist(args.launcher, backend)
    return cfg


def knn_settings(cfg: Config) -> dict[str, Any]:
    """Arguments of the config's OnlineKNNHook.

    Raises:
        ValueError: It has none.
    """
    for hook in cfg.get('custom_hooks') or []:
        if hook['type'] == 'OnlineKNNHook':
            return hook
    raise ValueError(
        'the config names no labelled images: add to custom_hooks '
        "dict(type='OnlineKNNHook', bank=dict(batch_size=..., "
        'num_workers=..., dataset=dict(...)), query=dict(...))'
    )


def labelled_loaders(cfg: Config) -> tuple[DataLoader, DataLoader]:
    """Bank and query set of the config's OnlineKNNHook."""
    settings = knn_settings(cfg)
    seed = _seed(cfg)
    return (
        build_labelled_loader(settings['bank'], 'bank', seed),
        build_labelled_loader(settings['query'], 'query set', seed),
    )


def networks(
    cfg: Config, args: argparse.Namespace
) -> Iterator[tuple[str, nn.Module]]:
    """Models to be evaluated on their online branch, by name."""
    if args.random_init:
        yield INITIAL, initial_model(cfg).to(args.device)
    for path in args.checkpoint:
        model = initial_model(cfg)
        checkpoint = read_checkpoint(path, args.trust)
        weights, meta = extract_backbone(checkpoint, args.branch)
        check_pixels(meta, model.data_preprocessor, path)
        load_backbone(model.backbone, weights, meta)
        yield path, model.to(args.device)


def check_pixels(
    meta: Mapping[str, Any], preprocessor: nn.Module, path: str
) -> None:
    """See that the images come as those that the weights were trained on.

    Args:
        meta: Of :func:`~sce_mm.transfer.extract_backbone`; what it does not
            know is not compared.
        preprocessor: Data preprocessor of the config.
        path: Of the checkpoint, for the message.

    Raises:
        ValueError: Order of channels, mean or std differ.
    """
    for name, value in describe_input(preprocessor).items():
        trained = meta.get(name)
        if None not in (value, trained) and value != trained:
            raise ValueError(
                f'{path} was trained with {name} = {trained}, but the '
                f'config has {value}: change model.data_preprocessor'
            )


def initial_model(cfg: Config) -> Any:
    """Model of the config with the weights that its training starts from."""
    with preserve_rng():
        set_random_seed(_seed(cfg))
        model = MODELS.build(cfg.model)
        model.init_weights()
    return model


def _seed(cfg: Config) -> int:
    return (cfg.get('randomness') or {}).get('seed') or 0
