"""Compare detectors from SCE and random initialisation, on your images.

    python tools/compare.py OUT --images IMAGES \\
        --train train.json --train-images TRAIN \\
        --val val.json --val-images VAL \\
        --detector mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py \\
        --pretraining configs/sce/sce_resnet50_1xb128-amp-coslr-200e_folder.py

Pretrains SCE on the unlabelled images, trains the detector from it, from
random initialisation and from other weights if given, with all labels and
with parts of them, each with the same data, schedule and seeds, and writes
OUT/report.html with one table. Validation images among the unlabelled ones,
and near copies of them, are found and left out of the pretraining. The same
command goes on where it was interrupted.
"""

import argparse
import os
from pathlib import Path

# Arguments are read before the imports that take seconds.
__starts_light__ = True

import sce_mm
from sce_mm.cli.arguments import ArgumentParser, Overrides, seed_number
from sce_mm.cli.exit import run_main

ROOT = Path(__file__).resolve().parents[1]


def existing_file(text: str) -> Path:
    """Type of an option that takes a file."""
    path = Path(text).resolve()
    if not path.is_file():
        raise argparse.ArgumentTypeError(f'there is no file {path}')
    return path


def percentage(text: str) -> float:
    """Type of an option that takes a part of the labels."""
    value = float(text)
    if not 0 < value <= 100:
        raise argparse.ArgumentTypeError(
            f'expected a number above 0 and up to 100, got {text}'
        )
    return value


def parse_args() -> argparse.Namespace:
    parser = ArgumentParser(__doc__)
    parser.add_argument('out', type=Path, help='folder of everything made')
    data = parser.add_argument_group('data')
    data.add_argument(
        '--images', type=Path, nargs='+', required=True, metavar='DIR',
        help='folder(s) of unlabelled images',
    )  # fmt: skip
    for part, what in (('train', 'training'), ('val', 'validation')):
        data.add_argument(
            f'--{part}', type=existing_file, required=True, metavar='JSON',
            help=f'{what} labels in COCO format',
        )  # fmt: skip
        data.add_argument(
            f'--{part}-images', type=Path, required=True, metavar='DIR',
            help=f'folder of the {what} images',
        )  # fmt: skip
    what = parser.add_argument_group('what is compared')
    what.add_argument(
        '--detector', required=True, metavar='CONFIG',
        help='config of a detector: a path, or mmdet::name',
    )  # fmt: skip
    what.add_argument(
        '--pretraining', type=existing_file, required=True, metavar='CONFIG',
        help='config of SCE',
    )  # fmt: skip
    what.add_argument(
        '--weights', nargs=2, action='append', default=[],
        metavar=('NAME', 'FILE'),
        help='another backbone file to start from, such as ImageNet weights '
        'by extract_backbone.py; repeatable',
    )  # fmt: skip
    what.add_argument(
        '--init-from', type=existing_file, metavar='FILE',
        help='pretrain SCE a second time, starting from this checkpoint',
    )  # fmt: skip
    what.add_argument(
        '--percent', type=percentage, nargs='+', default=[100],
        help='parts of the labels, such as 10 30 100; 100 by default',
    )  # fmt: skip
    what.add_argument(
        '--seeds', type=seed_number, nargs='+', default=[0],
        help='seeds of the repetitions; 0 by default',
    )  # fmt: skip
    how = parser.add_argument_group('how')
    for part, what_of in (
        ('pretraining', 'the pretraining'),
        ('detector', 'every training of the detector'),
    ):
        how.add_argument(
            f'--{part}-options', nargs='+', default=[], metavar='KEY=VALUE',
            action=Overrides, help=f'overrides of {what_of}',
        )  # fmt: skip
    how.add_argument(
        '--threads', type=int, default=os.cpu_count(),
        help='processor threads of a training',
    )  # fmt: skip
    args = parser.parse_args()
    if args.threads < 1:
        parser.error(f'--threads must be at least 1, got {args.threads}')
    try:
        args.weights = {n: existing_file(file) for n, file in args.weights}
    except argparse.ArgumentTypeError as error:
        parser.error(f'--weights: {error}')
    for name in ('out', 'train_images', 'val_images'):
        setattr(args, name, vars(args)[name].resolve())
    args.images = [folder.resolve() for folder in args.images]
    args.seeds = list(dict.fromkeys(args.seeds))
    args.percent = list(dict.fromkeys(args.percent))
    if '::' not in args.detector:
        args.detector = str(Path(args.detector).resolve())
    return args


def main() -> None:
    args = parse_args()
    # Commands are shown, and run, from the root of the project.
    os.chdir(ROOT)
    sce_mm.register()
    from sce_mm.detection.comparison import compare

    compare(args)


if __name__ == '__main__':
    run_main(main)
