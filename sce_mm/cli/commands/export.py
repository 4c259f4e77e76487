"""Export the backbone of a checkpoint to another library.

    sce export CKPT OUT --to timm

Writes the file, loads it in the target library, compares the features that it
gives there for a random image with those of this project, and prints how to
load it. Nothing is left if they differ. detectron2 is not needed: its names
are applied and undone. Formats and snippets: docs/convert.md.
"""

import argparse
from collections.abc import Sequence

from ... import register
from ..arguments import ArgumentParser
from ..command_names import as_typed
from ..converters import add_arguments, describe, read_backbone

TARGETS = (
    *('torchvision', 'timm', 'mmpretrain', 'mmdet'),
    *('detectron2', 'safetensors', 'onnx'),
)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = ArgumentParser(__doc__)
    add_arguments(parser)
    parser.add_argument(
        '--to', choices=TARGETS, required=True, help='library to export to'
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    register()
    from ...transfer.export.export import export, snippet

    backbone = read_backbone(args)
    deviation = export(args.to, args.out, backbone)
    print(f'{args.out}: {describe(backbone)}')
    where = 'sce_mm (names undone)' if args.to == 'detectron2' else args.to
    print(
        f'checked: features of an image in {where} differ by '
        f'{deviation:.1e} of the largest'
    )
    print(as_typed(snippet(args.to, args.out, backbone)))
