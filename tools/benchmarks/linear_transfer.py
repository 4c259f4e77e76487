"""Linear transfer of frozen features to eleven data sets, or to your own.

python tools/benchmarks/linear_transfer.py CONFIG CHECKPOINT --data-root data

Logistic regression by L-BFGS, its penalty chosen on the validation part.
--list says where each data set has to be. Needs scikit-learn.
"""

import argparse
from pathlib import Path
from typing import Any

from torch import nn

from sce_mm.cli.evaluation import (
    add_image_arguments,
    evaluation_parser,
    networks,
    open_config,
    write_table,
)
from sce_mm.cli.exit import run_main
from sce_mm.evaluation.images import crop_pipeline, image_features
from sce_mm.evaluation.protocols.linear_transfer import (
    METRICS,
    Part,
    TransferResult,
    linear_transfer,
)
from sce_mm.evaluation.protocols.linear_transfer_data import (
    build_parts,
    check_classes,
    targets_of,
)
from sce_mm.evaluation.protocols.linear_transfer_sets import (
    TRANSFER_SETS,
    transfer_set,
)
from sce_mm.utils.distributed import map_distributed


def parse_args() -> argparse.Namespace:
    """Arguments of the command line."""
    parser = evaluation_parser(__doc__)
    parser.add_argument(
        '--datasets',
        nargs='+',
        default=list(TRANSFER_SETS),
        metavar='NAME',
        help='of the table (by default all eleven), or folders of your own '
        'below --data-root, with train.txt and test.txt or folders train and '
        'test, and perhaps a val of the same kind',
    )
    parser.add_argument('--data-root', type=Path, default=Path('data'))
    parser.add_argument(
        '--metric',
        choices=METRICS,
        default=METRICS[0],
        help='of data sets that are not in the table',
    )
    parser.add_argument('--size', type=int, default=224, help='of the images')
    parser.add_argument(
        '--list', action=List, nargs=0, help='print the table and exit'
    )
    add_image_arguments(parser)
    return parser.parse_args()


class List(argparse.Action):
    """Print the table of data sets."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        rows = [
            {
                'name': name,
                'data set': entry.title,
                'folder': entry.folder,
                'classes': entry.classes,
                'metric': entry.metric,
                'training': entry.splits['train'],
                'validation': entry.splits.get('val', '20 % of training'),
            }
            for name, entry in TRANSFER_SETS.items()
        ]
        write_table(rows, 'Linear transfer', None)
        parser.exit()


class DataSet:
    """Images and classes of one data set, part by part.

    Args:
        name: Of the table or of a folder.
        args: Of the command line.
    """

    def __init__(self, name: str, args: argparse.Namespace) -> None:
        self.entry = transfer_set(name, args.metric)
        # The crop takes the whole shorter side.
        pipeline = crop_pipeline(args.size, args.size, 'bicubic')
        self.images = build_parts(self.entry, args.data_root, pipeline)
        self.labels = {
            part: targets_of(images, self.entry.metric)
            for part, images in self.images.items()
        }
        check_classes(name, self.entry, self.labels)

    def features(
        self, model: nn.Module, args: argparse.Namespace
    ) -> dict[str, Part]:
        """Every part as a network sees it."""
        return {
            part: Part(
                image_features(
                    model, images, args.batch_size, args.workers
                ).numpy(),
                self.labels[part],
            )
            for part, images in self.images.items()
        }


def evaluate(job: tuple[str, dict[str, Part]]) -> TransferResult:
    """Result of a metric and the parts of a data set."""
    metric, parts = job
    return linear_transfer(
        parts['train'], parts.get('val'), parts['test'], metric
    )


def rows_of(
    network: str, datasets: list[DataSet], results: list[TransferResult]
) -> list[dict[str, Any]]:
    """A row for each data set, and their mean if there are several."""
    rows = [
        {
            'network': network,
            'data set': dataset.entry.title,
            'metric': dataset.entry.metric,
            'score': result.score,
            'wd': result.penalty,
            'validation': result.validation[result.penalty],
        }
        for dataset, result in zip(datasets, results, strict=True)
    ]
    if len(rows) > 1:
        mean = sum(result.score for result in results) / len(results)
        average = {'network': network, 'data set': 'average', 'score': mean}
        rows.append(dict.fromkeys(rows[0], '') | average)
    return rows


def main() -> None:
    """Evaluate each network in turn."""
    args = parse_args()
    cfg = open_config(args)
    datasets = [DataSet(name, args) for name in args.datasets]
    rows = []
    for network, model in networks(cfg, args):
        jobs = [(d.entry.metric, d.features(model, args)) for d in datasets]
        rows += rows_of(network, datasets, map_distributed(evaluate, jobs))
    write_table(rows, 'Linear transfer (%)', args.out)


if __name__ == '__main__':
    run_main(main)
