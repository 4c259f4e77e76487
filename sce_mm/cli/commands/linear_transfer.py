"""Measure linear transfer to eleven data sets, or to your own.

sce linear-transfer CONFIG CHECKPOINT --data-root data

Logistic regression by L-BFGS, its penalty chosen on the validation split.
docs/evaluation.md says where each data set has to be.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from ... import register
from ...utils.errors import UserError
from ..argument_types import image_side
from ..evaluation_arguments import evaluation_parser, parse_networks


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = evaluation_parser(__doc__)
    parser.add_argument(
        '--datasets',
        nargs='+',
        metavar='NAME',
        help='names of the table (by default all), or folders of your own '
        'below --data-root, with train.txt and test.txt or folders train and '
        'test, and perhaps a val of the same kind',
    )
    parser.add_argument(
        '--data-root',
        type=Path,
        default=Path('data'),
        help='folder of all data sets, data by default',
    )
    parser.add_argument(
        '--metric',
        choices=['top-1', 'mean per class', '11-point mAP'],
        default='top-1',
        help='metric of data sets that are not in the table',
    )
    parser.add_argument(
        '--size', type=image_side, default=224, help='side of the images'
    )
    return parse_networks(parser, argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    if not args.data_root.is_dir():
        raise UserError(
            f'--data-root: there is no folder {args.data_root}, expected that '
            'of all data sets'
        )
    register()
    from ...evaluation.protocols.linear_transfer import evaluate_transfer
    from ...evaluation.protocols.linear_transfer_data import TransferData
    from ...evaluation.protocols.linear_transfer_sets import TRANSFER_SETS
    from ..evaluation import networks, open_config, write_results

    cfg = open_config(args)
    datasets = [
        TransferData(name, args.data_root, args.metric, args.size)
        for name in args.datasets or TRANSFER_SETS
    ]
    rows = []
    for name, model in networks(cfg, args):
        table = evaluate_transfer(
            model, datasets, args.batch_size, args.workers
        )
        rows += [{'network': name, **row} for row in table]
    write_results(rows, 'Linear transfer (%)', args.out)
