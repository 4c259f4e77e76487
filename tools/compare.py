"""Does pretraining on my images help my detector?

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
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('out', type=Path, help='folder of everything made')
    data = parser.add_argument_group('data')
    data.add_argument(
        '--images', type=Path, nargs='+', required=True, metavar='DIR',
        help='folder(s) of unlabelled images',
    )  # fmt: skip
    for part, what in (('train', 'training'), ('val', 'validation')):
        data.add_argument(
            f'--{part}', type=Path, required=True, metavar='JSON',
            help=f'{what} labels in COCO format',
        )  # fmt: skip
        data.add_argument(
            f'--{part}-images', type=Path, required=True, metavar='DIR',
            help=f'folder of the {what} images',
        )  # fmt: skip
    what = parser.add_argument_group('what is compared')
    what.add_argument(
        '--detector', required=True, help='config of mmdet: path or mmdet::'
    )
    what.add_argument(
        '--pretraining', type=Path, required=True, help='config of SCE'
    )
    what.add_argument(
        '--weights', nargs=2, action='append', default=[],
        metavar=('NAME', 'FILE'),
        help='another backbone file to start from, such as ImageNet weights '
        'by extract_backbone.py; repeatable',
    )  # fmt: skip
    what.add_argument(
        '--init-from', type=Path, metavar='FILE',
        help='pretrain SCE a second time, starting from this checkpoint',
    )  # fmt: skip
    what.add_argument(
        '--percent', type=float, nargs='+', default=[100],
        help='parts of the labels, such as 10 30 100; 100 by default',
    )  # fmt: skip
    what.add_argument('--seeds', type=int, nargs='+', default=[0])
    how = parser.add_argument_group('how')
    how.add_argument(
        '--pretraining-options', nargs='+', default=[], metavar='KEY=VALUE',
        help='overrides of the pretraining',
    )  # fmt: skip
    how.add_argument(
        '--detector-options', nargs='+', default=[], metavar='KEY=VALUE',
        help='overrides of every training of the detector',
    )  # fmt: skip
    how.add_argument(
        '--threads', type=int, default=os.cpu_count(),
        help='processor threads of a training',
    )  # fmt: skip
    args = parser.parse_args()
    for name, value in vars(args).items():
        if isinstance(value, Path):
            setattr(args, name, value.resolve())
    args.images = [folder.resolve() for folder in args.images]
    if '::' not in args.detector:
        args.detector = str(Path(args.detector).resolve())
    args.weights = {name: Path(file).resolve() for name, file in args.weights}
    return args


def main() -> None:
    args = parse_args()
    # Commands are shown, and run, from the root of the project.
    os.chdir(ROOT)
    import sce_mm

    sce_mm.register()
    from sce_mm.detection.comparison.report import write_report
    from sce_mm.detection.comparison.stages import Comparison

    args.out.mkdir(parents=True, exist_ok=True)
    try:
        comparison = Comparison(args)
        comparison.run()
        write_report(comparison)
    except KeyboardInterrupt:
        sys.exit('stopped: the same command goes on from here')
    except (OSError, RuntimeError, ValueError) as error:
        sys.exit(f'error: {error}')


if __name__ == '__main__':
    __starts_light__ = True
    from sce_mm.cli.exit import run_main

    run_main(main)
