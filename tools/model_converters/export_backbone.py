"""Export the backbone of a checkpoint to another library.

    python tools/model_converters/export_backbone.py CKPT OUT --to timm

Writes the file, loads it in the target library, compares the features that it
gives there for a random image with those of this project, and prints how to
load it. Nothing is left if they differ. detectron2 is not needed: its names
are applied and undone. Formats and snippets: docs/convert.md.
"""

import argparse

# Arguments are read before the imports that take seconds.
__starts_light__ = True

import sce_mm
from sce_mm.cli.arguments import ArgumentParser
from sce_mm.cli.converters import add_arguments, describe, read_backbone
from sce_mm.cli.exit import run_main

TARGETS = (
    *('torchvision', 'timm', 'mmpretrain', 'mmdet'),
    *('detectron2', 'safetensors', 'onnx'),
)


def parse_args() -> argparse.Namespace:
    parser = ArgumentParser(__doc__)
    add_arguments(parser)
    parser.add_argument(
        '--to', choices=TARGETS, required=True, help='library to export to'
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    sce_mm.register()
    from sce_mm.transfer.export.export import export, snippet

    backbone = read_backbone(args)
    deviation = export(args.to, args.out, backbone)
    print(f'{args.out}: {describe(backbone)}')
    where = 'sce_mm (names undone)' if args.to == 'detectron2' else args.to
    print(
        f'checked: features of an image in {where} differ by '
        f'{deviation:.1e} of the largest'
    )
    print(snippet(args.to, args.out, backbone))


if __name__ == '__main__':
    run_main(main)
