"""Measure the kNN accuracy of frozen features.

python tools/benchmarks/knn.py CONFIG CHECKPOINT --random-init \
    --bank path/to/train --query path/to/test

Without --bank and --query the labelled images are those of the config's
OnlineKNNHook, or, of the config of a classifier, its training images (without
augmentation) and its validation images.
"""

import argparse

__starts_light__ = True

import sce_mm
from sce_mm.cli.evaluation_arguments import class_folder_parser, parse_networks
from sce_mm.cli.exit import run_main


def parse_args() -> argparse.Namespace:
    parser = class_folder_parser(__doc__)
    parser.add_argument(
        '--k',
        nargs='+',
        type=int,
        help='numbers of neighbours; by default those of the hook, else 20, '
        'or half of a bank of fewer than 40',
    )
    parser.add_argument(
        '--temperature',
        type=float,
        help='temperature of the votes; by default that of the hook',
    )
    return parse_networks(parser)


def main() -> None:
    args = parse_args()
    sce_mm.register()
    from sce_mm.cli.evaluation import (
        labelled_networks,
        open_config,
        write_results,
    )
    from sce_mm.evaluation import knn_accuracy
    from sce_mm.evaluation.loaders import knn_settings

    cfg = open_config(args)
    settings = knn_settings(cfg)
    ks = args.k or settings.get('k', 20)
    temperature = args.temperature or settings.get('temperature', 0.07)
    rows = []
    for name, bank, query in labelled_networks(cfg, args):
        accuracies = knn_accuracy(bank, query, ks, temperature)
        columns = {f'knn_top1_k{k}': x for k, x in accuracies.items()}
        rows.append({'network': name, **columns})
    write_results(
        rows,
        f'kNN top-1 (%): {len(query[1])} images by their neighbours '
        f'among {len(bank[1])}, temperature {temperature:g}',
        args.out,
    )


if __name__ == '__main__':
    run_main(main)
