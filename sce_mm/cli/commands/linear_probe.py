r"""Measure a linear classifier on frozen features.

sce linear-probe CONFIG CHECKPOINT --random-init \
    --bank path/to/train --query path/to/test

Trained on the bank and tested on the query set. Without them, on those of the
config's OnlineKNNHook, or on the training and validation images of the config
of a classifier.
"""

import argparse
from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from ... import register
from ..argument_types import positive_float
from ..evaluation_arguments import class_folder_parser, parse_networks
from ..exit import naming

if TYPE_CHECKING:
    from torch.utils.data import DataLoader


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = class_folder_parser(__doc__)
    parser.add_argument(
        '--costs',
        nargs='+',
        type=positive_float,
        help='candidates for C, the inverse of the penalty, chosen on a '
        'held-out part of the bank; by default powers of 10 from 1e-5 to 100',
    )
    return parse_networks(parser, argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    register()
    from mmengine.dist import is_main_process

    from ...evaluation.protocols.linear_probe import (
        COSTS,
        check_classes,
        linear_probe,
    )
    from ..evaluation import (
        labelled_networks,
        open_config,
        write_results,
    )

    cfg = open_config(args)

    def enough(bank: 'DataLoader') -> None:
        dataset: Any = bank.dataset
        if hasattr(dataset, 'get_gt_labels'):
            with naming('--bank') if args.bank else nullcontext():
                names = dataset.metainfo.get('classes') or ()
                check_classes(dataset.get_gt_labels(), names)

    rows = []
    for name, bank, query in labelled_networks(cfg, args, enough):
        # Features are on all processes; one fits the classifier.
        if is_main_process():
            probe = linear_probe(*bank, *query, args.costs or COSTS)
            results = {'linear_top1': probe.accuracy, 'C': probe.cost}
            rows.append({'network': name, **results})
    write_results(
        rows,
        f'Linear probe top-1 (%): trained on {len(bank[1])} images, '
        f'tested on {len(query[1])}',
        args.out,
    )
