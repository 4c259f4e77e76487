"""Linear classification of frozen features, offline.

python tools/benchmarks/linear_probe.py CONFIG CHECKPOINT --random-init \
    --bank path/to/train --query path/to/test

Trained on the bank and tested on the query set. Without them, on those of the
config's OnlineKNNHook, or on the training and validation images of the config
of a classifier. Needs scikit-learn.
"""

import argparse

from mmengine.dist import is_main_process

from sce_mm.cli.evaluation import (
    add_class_folder_arguments,
    evaluation_parser,
    networks,
    open_config,
    set_class_folders,
    write_table,
)
from sce_mm.cli.exit import run_main
from sce_mm.evaluation.knn_evaluation import labelled_features
from sce_mm.evaluation.loaders import labelled_loaders
from sce_mm.evaluation.protocols.linear_probe import COSTS, linear_probe


def parse_args() -> argparse.Namespace:
    """Arguments of the command line."""
    parser = evaluation_parser(__doc__)
    add_class_folder_arguments(parser)
    parser.add_argument(
        '--costs',
        nargs='+',
        type=float,
        default=COSTS,
        help='candidates for C, chosen on a held-out part of the bank',
    )
    return parser.parse_args()


def main() -> None:
    """Evaluate each network in turn."""
    args = parse_args()
    cfg = open_config(args)
    set_class_folders(cfg, args)
    bank, query = labelled_loaders(cfg)
    rows = []
    for name, model in networks(cfg, args):
        train = labelled_features(model, bank, 'bank')
        test = labelled_features(model, query, 'query set')
        # Features are on all processes; one fits the classifier.
        if is_main_process():
            result = linear_probe(*train, *test, args.costs)
            rows.append(
                {
                    'network': name,
                    'linear_top1': result.accuracy,
                    'C': result.cost,
                }
            )
    write_table(
        rows,
        f'Linear probe top-1 (%): trained on {len(train[1])} images, '
        f'tested on {len(test[1])}',
        args.out,
    )


if __name__ == '__main__':
    run_main(main)
