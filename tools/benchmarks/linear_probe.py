"""Linear classification of frozen features, offline.

python tools/benchmarks/linear_probe.py CONFIG CHECKPOINT --random-init

Trained on the bank and tested on the query set of the config's OnlineKNNHook,
or on the training and validation images of the config of a classifier; needs
scikit-learn.
"""

import argparse

from mmengine.dist import is_main_process

from sce_mm.evaluation import check_labels, extract_features, linear_probe
from sce_mm.evaluation.linear_probe import COSTS
from sce_mm.evaluation.loaders import labelled_loaders
from sce_mm.evaluation.offline import (
    evaluation_parser,
    networks,
    open_config,
)
from sce_mm.evaluation.samples import num_images
from sce_mm.evaluation.tables import report
from sce_mm.process_end import run_command


def parse_args() -> argparse.Namespace:
    """Arguments of the command line."""
    parser = evaluation_parser(__doc__)
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
    bank, query = labelled_loaders(cfg)
    rows = []
    for name, model in networks(cfg, args):
        features, labels = extract_features(model, bank)
        check_labels(labels, 'bank')
        queries, truth = extract_features(model, query)
        check_labels(truth, 'query set')
        # Features are on all processes; one fits the classifier.
        if is_main_process():
            result = linear_probe(features, labels, queries, truth, args.costs)
            rows.append(
                {
                    'network': name,
                    'linear_top1': result.accuracy,
                    'C': result.cost,
                }
            )
    report(
        rows,
        f'Linear probe top-1 (%): trained on {num_images(bank)} images, '
        f'tested on {num_images(query)}',
        args.out,
    )


if __name__ == '__main__':
    run_command(main)
