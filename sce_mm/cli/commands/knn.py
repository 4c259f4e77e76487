r"""Measure the kNN accuracy of frozen features.

sce knn CONFIG CHECKPOINT --random-init \
    --bank path/to/train --query path/to/test

Without --bank and --query the labelled images are those of the config's
OnlineKNNHook, or, of the config of a classifier, its training images (without
augmentation) and its validation images.
"""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ... import register
from ..argument_types import positive_float, positive_number
from ..evaluation_arguments import class_folder_parser, parse_networks
from ..exit import naming

if TYPE_CHECKING:
    from torch.utils.data import DataLoader


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = class_folder_parser(__doc__)
    parser.add_argument(
        '--k',
        nargs='+',
        type=positive_number,
        help='numbers of neighbours; by default those of the hook, else 20, '
        'or half of a bank of fewer than 40',
    )
    parser.add_argument(
        '--temperature',
        type=positive_float,
        help='temperature of the votes; by default that of the hook, else '
        '0.07',
    )
    return parse_networks(parser, argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    register()
    from ...evaluation import knn_accuracy
    from ...evaluation.knn import check_ks
    from ...evaluation.loaders import knn_settings
    from ...evaluation.neighbours import check_bank_size
    from ...evaluation.samples import num_images
    from ..evaluation import (
        labelled_networks,
        open_config,
        write_results,
    )

    cfg = open_config(args)
    settings = knn_settings(cfg)
    ks = args.k or settings.get('k', 20)
    temperature = args.temperature or settings.get('temperature', 0.07)

    def enough(bank: 'DataLoader') -> None:
        with naming('--k'):
            check_bank_size(num_images(bank), max(check_ks(ks)))

    rows = []
    for name, bank, query in labelled_networks(cfg, args, enough):
        accuracies = knn_accuracy(bank, query, ks, temperature)
        columns = {f'knn_top1_k{k}': x for k, x in accuracies.items()}
        rows.append({'network': name, **columns})
    write_results(
        rows,
        f'kNN top-1 (%): {len(query[1])} images by their neighbours '
        f'among {len(bank[1])}, temperature {temperature:g}',
        args.out,
    )
