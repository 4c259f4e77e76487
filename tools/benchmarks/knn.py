"""kNN accuracy of frozen features, offline.

python tools/benchmarks/knn.py CONFIG CHECKPOINT --random-init \
    --bank path/to/train --query path/to/test

Without --bank and --query the labelled images are those of the config's
OnlineKNNHook, or, of the config of a classifier, its training images (without
augmentation) and its validation images.
"""

import argparse

from sce_mm.cli.evaluation import (
    add_class_folder_arguments,
    evaluation_parser,
    networks,
    open_config,
    set_class_folders,
    write_table,
)
from sce_mm.cli.exit import run_main
from sce_mm.evaluation.knn_evaluation import labelled_features, shared_knn
from sce_mm.evaluation.loaders import knn_settings, labelled_loaders


def parse_args() -> argparse.Namespace:
    """Arguments of the command line."""
    parser = evaluation_parser(__doc__)
    add_class_folder_arguments(parser)
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
        help='of the votes; by default that of the hook',
    )
    return parser.parse_args()


def main() -> None:
    """Evaluate each network in turn."""
    args = parse_args()
    cfg = open_config(args)
    set_class_folders(cfg, args)
    settings = knn_settings(cfg)
    ks = args.k or settings.get('k', 20)
    temperature = args.temperature or settings.get('temperature', 0.07)
    bank, query = labelled_loaders(cfg)
    rows = []
    for name, model in networks(cfg, args):
        votes = labelled_features(model, bank, 'bank')
        queries = labelled_features(model, query, 'query set')
        accuracies = shared_knn(votes, queries, ks, temperature)
        columns = {f'knn_top1_k{k}': x for k, x in accuracies.items()}
        rows.append({'network': name, **columns})
    write_table(
        rows,
        f'kNN top-1 (%): {len(queries[1])} images by their neighbours '
        f'among {len(votes[1])}, temperature {temperature:g}',
        args.out,
    )


if __name__ == '__main__':
    run_main(main)
