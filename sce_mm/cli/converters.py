"""Arguments that the model converters share, and the backbone they read."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..utils.checks import wrong_levels
from .argument_types import OutputFile, output_file, positive_number
from .arguments import add_branch, add_trust
from .exit import naming

# What reads checkpoints takes seconds to import, arguments are read before.
if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..transfer import Backbone

METADATA = ('arch', 'channel_order', 'mean', 'std', 'style', 'num_heads')


def add_arguments(
    parser: argparse.ArgumentParser, kind: OutputFile = output_file
) -> None:
    """Arguments: checkpoint and output, branch, trust, metadata."""
    parser.add_argument(
        'checkpoint', type=Path, help='file of weights of any known format'
    )
    parser.add_argument('out', type=kind, help='file to write')
    add_branch(parser)
    add_trust(parser)
    parser.add_argument(
        '--float32',
        action='store_true',
        help='convert half or double precision instead of refusing it',
    )
    metadata = parser.add_argument_group(
        'metadata', 'for checkpoints that do not say so themselves'
    )
    metadata.add_argument(
        '--imagenet',
        action='store_true',
        help="RGB pixels with ImageNet's mean and std and, for bottlenecks, "
        'strides in the 3 x 3: torchvision and its relatives',
    )
    metadata.add_argument(
        '--arch', help='name of the network, such as ResNet-50'
    )
    metadata.add_argument(
        '--channel-order',
        choices=['rgb', 'bgr'],
        help='order of the colours of its pixels',
    )
    metadata.add_argument(
        '--mean',
        type=float,
        nargs=3,
        metavar='LEVEL',
        help='what was taken from the pixels, levels of 0 to 255, in this '
        'order of the colours',
    )
    metadata.add_argument(
        '--std',
        type=float,
        nargs=3,
        metavar='LEVEL',
        help='what they were divided by, levels likewise',
    )
    metadata.add_argument(
        '--style',
        choices=['pytorch', 'caffe'],
        help='which convolution of a bottleneck has the stride: the 3 x 3 '
        '(pytorch) or the first 1 x 1 (caffe)',
    )
    metadata.add_argument(
        '--num-heads',
        type=positive_number,
        metavar='N',
        help='attention heads of a Vision Transformer',
    )


def add_network(parser: argparse.ArgumentParser) -> None:
    """Argument for networks that their tensors do not show."""
    parser.add_argument(
        '--network',
        metavar='CONFIG',
        help='a config whose model.backbone is the network of these weights,\n'
        'for those that are not known by their tensors (docs/convert.md)',
    )


def network_of(args: argparse.Namespace) -> nn.Module | None:
    """The network of ``--network``, with random weights.

    Raises:
        ConfigError: The config cannot be read, or builds no backbone.
        FileNotFoundError: There is no such config.
    """
    if getattr(args, 'network', None) is None:
        return None
    from ..config.building import build_backbone
    from ..downstream import load_base

    with naming('--network'):
        return build_backbone(load_base(args.network)[0])


def _with_later_outputs(config: str) -> nn.Module | None:
    """The network of a config as far as its class has outputs.

    Some classes build nothing behind the last output that is asked for. None
    if this is none of them.
    """
    from ..config.building import build_backbone
    from ..config.errors import ConfigError
    from ..downstream import load_base

    cfg, _ = load_base(config)
    given = cfg.model.backbone.get('out_indices')
    if not isinstance(given, list | tuple) or min(given, default=-1) < 0:
        return None
    found, names = None, build_backbone(cfg).state_dict().keys()
    for last in itertools.count(max(given) + 1):
        cfg.model.backbone.out_indices = (*given, last)
        try:
            network = build_backbone(cfg)
        except ConfigError:
            break
        if not names < network.state_dict().keys():
            break
        found, names = network, network.state_dict().keys()
    return found


def _up_to_last_output(
    read: Callable[..., Backbone], network: nn.Module, config: str
) -> Backbone | None:
    """What a config has of a network that goes on behind its last output.

    None if it has the whole network.

    Raises:
        CheckpointError: The file is not the whole of such a network.
    """
    from ..transfer.backbone import without_later_outputs

    whole = _with_later_outputs(config)
    if whole is None:
        return None
    backbone, rest = without_later_outputs(read(network=whole), network)
    print(
        f'left out, since out_indices of {config} ends before them: '
        f'{", ".join(rest)}'
    )
    return backbone


def read_backbone(args: argparse.Namespace) -> Backbone:
    """Backbone that the arguments ask for.

    Raises:
        CheckpointError: The checkpoint or an argument is not as it should be.
        ConfigError: There is no network in the config of ``--network``.
        FileNotFoundError: There is no such checkpoint.
    """
    from ..checkpoints.state_dicts import averages_left_out
    from ..transfer import CheckpointError, extract_backbone, read_checkpoint

    network = network_of(args)
    with naming(str(args.checkpoint)):
        content = read_checkpoint(args.checkpoint, trust=args.trust)
        read = partial(extract_backbone, content, args.branch, args.float32)
        try:
            backbone = read(network=network)
        except CheckpointError:
            if network is None:
                raise
            shorter = _up_to_last_output(read, network, args.network)
            if shorter is None:
                raise
            backbone = shorter
    if key := averages_left_out(content):
        print(
            f'{args.checkpoint}: the averaged weights under {key} are left '
            'out. To take them, save them alone: '
            f'torch.save(checkpoint[{key!r}], FILE)'
        )
    return _with_metadata(backbone, args)


def describe(backbone: Backbone) -> str:
    """Size and metadata, for the console."""
    meta, lines = backbone.meta, [_size(backbone.weights)]
    if backbone.pyramid:
        lines.append(f'  feature pyramid: {_size(backbone.pyramid)}')
    no_matter = {'style', 'num_heads', 'stretch'} - {*backbone.settings}
    for name, value in meta.items():
        if value is None and name in no_matter:
            continue
        note = ''
        if name in meta['assumed']:
            note = f' (the code of {meta["source"]}; the file does not say)'
        shown = 'unknown' if value is None else value
        lines.append(f'  {name}: {shown}{note}')
    return '\n'.join(lines)


def _size(tensors: Mapping[str, Tensor]) -> str:
    count = sum(
        tensor.numel()
        for name, tensor in tensors.items()
        if name.endswith(('weight', 'bias'))
    )
    return f'{len(tensors)} tensors, {count:,} parameters'


def _plain(name: str) -> str:
    """A name of a network however it is written: ResNet-18 or resnet18."""
    return ''.join(filter(str.isalnum, name)).lower()


def _with_metadata(backbone: Backbone, args: argparse.Namespace) -> Backbone:
    """The backbone with what the user says; assumptions give way to it."""
    from ..transfer import CheckpointError
    from ..transfer.formats import IMAGENET

    meta = backbone.meta
    given = {}
    if args.imagenet:
        given = {k: v for k, v in IMAGENET.items() if k in backbone.settings}
    given |= {k: v for k in METADATA if (v := getattr(args, k)) is not None}
    for name, value in given.items():
        said = None if name in meta['assumed'] else meta[name]
        if name == 'arch' and said and _plain(said) == _plain(value):
            given[name] = said
        elif said not in (None, value):
            who = 'the checkpoint'
            if getattr(args, 'network', None) is not None:
                who += ' or the network'
            raise CheckpointError(f'{who} says {name}={said!r}, not {value!r}')
    assumed = [name for name in meta['assumed'] if name not in given]
    meta = {**meta, **given, 'assumed': assumed}
    typed = args.mean is not None or args.std is not None
    # One of them may be typed, and stand beside the other of the file.
    if typed and (problem := wrong_levels(meta.get('mean'), meta.get('std'))):
        raise CheckpointError(f'--mean and --std: {problem}')
    return backbone._replace(meta=meta)
