"""Export the backbone of a checkpoint to another library.

    python tools/model_converters/export_backbone.py CKPT OUT --to timm

Writes the file, loads it in the target library, compares the features that it
gives there for a photograph with those of this project, and prints how to load
it. Nothing is left if they differ. detectron2 is not needed: its names are
applied and undone. Formats and snippets: docs/convert.md.
"""

import argparse
import sys
from pathlib import Path

from sce_mm.cli.converters import add_arguments, describe, read_source
from sce_mm.cli.exit import run_main
from sce_mm.transfer import CheckpointError
from sce_mm.transfer.architecture import architecture_of
from sce_mm.transfer.export.export import export, snippet
from sce_mm.transfer.export.images import as_input, read_image
from sce_mm.transfer.export.targets import TARGETS


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add_arguments(parser)
    parser.add_argument('--to', choices=TARGETS, required=True)
    parser.add_argument(
        '--image',
        type=Path,
        help='photograph to compare the libraries on; by default the one '
        'that scikit-learn brings',
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    try:
        weights, meta = read_source(args)
        size = 224 if architecture_of(weights).kernel == 7 else 32
        image = as_input(read_image(args.image), meta, size)
        deviation = export(args.to, args.out, weights, meta, image[None])
    except (CheckpointError, OSError) as error:
        sys.exit(f'error: {error}')
    print(f'{args.out}: {describe(weights, meta)}')
    where = 'sce_mm (names undone)' if args.to == 'detectron2' else args.to
    print(
        f'checked: features of a photograph in {where} differ by '
        f'{deviation:.1e} of the largest'
    )
    print(snippet(args.to, args.out, weights, meta))


if __name__ == '__main__':
    run_main(main)
