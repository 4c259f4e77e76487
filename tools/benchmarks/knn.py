"""kNN accuracy of frozen features, offline.

python tools/benchmarks/knn.py CONFIG CHECKPOINT --random-init --k 10 20 100

The labelled images are those of the config's OnlineKNNHook, or, of the config
of a classifier, its training images (without augmentation) and its validation
images.
"""

import argparse

from sce_mm.evaluation import evaluate_knn
from sce_mm.evaluation.loaders import knn_settings, labelled_loaders
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
        '--k',
        nargs='+',
        type=int,
        help='numbers of neighbours; by default those of the hook',
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
    settings = knn_settings(cfg)
    ks = args.k or settings.get('k', 20)
    temperature = args.temperature or settings.get('temperature', 0.07)
    bank, query = labelled_loaders(cfg)
    rows = []
    for name, model in networks(cfg, args):
        accuracies = evaluate_knn(model, bank, query, ks, temperature)
        columns = {f'knn_top1_k{k}': x for k, x in accuracies.items()}
        rows.append({'network': name, **columns})
    report(
        rows,
        f'kNN top-1 (%): {num_images(query)} images by their neighbours '
        f'among {num_images(bank)}, temperature {temperature:g}',
        args.out,
    )


if __name__ == '__main__':
    run_command(main)
