"""From a command line to a backbone: what the converters share."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ..checkpoints.errors import CheckpointError
from ..checkpoints.reading import read_checkpoint
from ..transfer.backbone import extract_backbone
from ..transfer.export.recalibrate import recalibrate
from ..transfer.formats import IMAGENET_FACTS

FACTS = ('arch', 'channel_order', 'mean', 'std', 'style')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments: checkpoint and output, branch, trust, facts."""
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('out', type=Path)
    parser.add_argument(
        '--branch', choices=['online', 'momentum'], default='online'
    )
    parser.add_argument(
        '--trust',
        action='store_true',
        help='read a file that could run programs, whose origin you know',
    )
    parser.add_argument(
        '--overwrite', action='store_true', help='replace OUT if it exists'
    )
    parser.add_argument(
        '--float32',
        action='store_true',
        help='convert half or double precision instead of refusing it',
    )
    parser.add_argument(
        '--recalibrate',
        type=Path,
        metavar='DIR',
        help='measure the batch norm statistics anew on these images',
    )
    facts = parser.add_argument_group(
        'facts', 'for checkpoints that do not say so themselves'
    )
    facts.add_argument(
        '--imagenet',
        action='store_true',
        help="RGB pixels with ImageNet's mean and std, strides in the 3 x 3: "
        'torchvision and its relatives',
    )
    facts.add_argument('--arch')
    facts.add_argument('--channel-order', choices=['rgb', 'bgr'])
    facts.add_argument('--mean', type=float, nargs=3, metavar='LEVEL')
    facts.add_argument('--std', type=float, nargs=3, metavar='LEVEL')
    facts.add_argument('--style', choices=['pytorch', 'caffe'])


def read_source(
    args: argparse.Namespace,
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Backbone and meta block that the arguments ask for.

    Raises:
        CheckpointError: The checkpoint or a fact is not as it should be.
        FileExistsError: OUT exists, or is the checkpoint itself.
        FileNotFoundError: There is no such checkpoint or folder.
    """
    _check_out(args)
    weights, meta = extract_backbone(
        read_checkpoint(args.checkpoint, trust=args.trust),
        args.branch,
        float32=args.float32,
        mixed=args.recalibrate is not None,
    )
    meta = _with_facts(meta, args)
    if args.recalibrate is not None:
        weights, meta = recalibrate(weights, meta, args.recalibrate)
    return weights, meta


def describe(weights: Mapping[str, Tensor], meta: Mapping[str, Any]) -> str:
    """Size and facts, for the console."""
    count = sum(
        t.numel() for k, t in weights.items() if k.endswith(('weight', 'bias'))
    )
    lines = [f'{len(weights)} tensors, {count:,} parameters']
    for name, value in meta.items():
        note = ''
        if name in meta['assumed']:
            note = f' (the code of {meta["source"]}; the file does not say)'
        lines.append(
            f'  {name}: {"unknown" if value is None else value}{note}'
        )
    return '\n'.join(lines)


def _check_out(args: argparse.Namespace) -> None:
    if not args.out.exists():
        return
    if args.checkpoint.exists() and args.out.samefile(args.checkpoint):
        raise FileExistsError('OUT is the checkpoint itself: name another')
    if not args.overwrite:
        raise FileExistsError(
            f'{args.out} exists: name another file or add --overwrite'
        )


def _with_facts(
    meta: dict[str, Any], args: argparse.Namespace
) -> dict[str, Any]:
    """Meta block with the user's facts; assumptions give way to them."""
    given = dict(IMAGENET_FACTS) if args.imagenet else {}
    given |= {k: v for k in FACTS if (v := getattr(args, k)) is not None}
    for name, value in given.items():
        said = None if name in meta['assumed'] else meta[name]
        if said not in (None, value):
            raise CheckpointError(
                f'the checkpoint says {name}={said!r}, not {value!r}'
            )
    assumed = [name for name in meta['assumed'] if name not in given]
    return {**meta, **given, 'assumed': assumed}
