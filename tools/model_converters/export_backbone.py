"""Export the backbone of a checkpoint to another library.

    python tools/model_converters/export_backbone.py CKPT OUT --to timm

Writes the file, loads it in the target library, compares the features that it
gives there for a random image with those of this project, and prints how to
load it. Nothing is left if they differ. detectron2 is not needed: its names
are applied and undone. Formats and snippets: docs/convert.md.
"""

import argparse

from sce_mm.cli.converters import add_arguments, describe, read_backbone
from sce_mm.cli.exit import run_main
from sce_mm.transfer.export.export import export, snippet
from sce_mm.transfer.export.targets import TARGETS


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add_arguments(parser)
    parser.add_argument('--to', choices=TARGETS, required=True)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
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
