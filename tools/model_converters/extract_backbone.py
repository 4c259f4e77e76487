"""Write the backbone of a checkpoint to a file of its own.

    python tools/model_converters/extract_backbone.py CKPT OUT

Knows checkpoints of this project, of the official SCE code, MoCo v1 to v3,
mmpretrain, mmselfsup, torchvision and timm ResNets. The file has bare names, a
block that says what the weights expect, and loads with weights_only=True.
"""

import argparse
import sys
from pathlib import Path

from sce_mm.transfer import (
    CheckpointError,
    extract_backbone,
    read_checkpoint,
    save_backbone,
)

SNIPPET = """\
In a config of mmdet:
    model = dict(backbone=dict(frozen_stages=-1, norm_eval=False,
        init_cfg=dict(type='Pretrained', checkpoint={path!r})))
    custom_imports = dict(imports=['sce_mm.detection'])
    custom_hooks = [dict(type='VerifyTransferHook')]"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
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
    facts = parser.add_argument_group(
        'facts', 'for checkpoints that do not say so themselves'
    )
    facts.add_argument('--arch')
    facts.add_argument('--channel-order', choices=['rgb', 'bgr'])
    facts.add_argument('--mean', type=float, nargs=3, metavar='LEVEL')
    facts.add_argument('--std', type=float, nargs=3, metavar='LEVEL')
    facts.add_argument('--style', choices=['pytorch', 'caffe'])
    return parser.parse_args()


def convert(args: argparse.Namespace) -> None:
    """Extract and report.

    Raises:
        CheckpointError: The checkpoint or a fact is not as it should be.
        FileExistsError: OUT exists, or is the checkpoint itself.
    """
    if args.out.exists():
        if args.checkpoint.exists() and args.out.samefile(args.checkpoint):
            raise FileExistsError('OUT is the checkpoint itself: name another')
        if not args.overwrite:
            raise FileExistsError(
                f'{args.out} exists: name another file or add --overwrite'
            )
    checkpoint = read_checkpoint(args.checkpoint, trust=args.trust)
    backbone, meta = extract_backbone(checkpoint, args.branch)
    for name in ('arch', 'channel_order', 'mean', 'std', 'style'):
        given = getattr(args, name)
        if given is None:
            continue
        if meta[name] not in (None, given):
            raise CheckpointError(
                f'the checkpoint says {name}={meta[name]!r}, not {given!r}'
            )
        meta[name] = given
    save_backbone(args.out, backbone, meta)
    count = sum(
        t.numel()
        for k, t in backbone.items()
        if k.endswith(('weight', 'bias'))
    )
    print(f'{args.out}: {len(backbone)} tensors, {count:,} parameters')
    for name, value in meta.items():
        print(f'  {name}: {"unknown" if value is None else value}')
    print(SNIPPET.format(path=str(args.out)))


def main() -> None:
    try:
        convert(parse_args())
    except (CheckpointError, FileExistsError, FileNotFoundError) as error:
        sys.exit(f'error: {error}')


if __name__ == '__main__':
    main()
