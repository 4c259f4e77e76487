"""Speed of feature extraction and kNN, against the least they can cost.

    python tools/dev/speed/evaluation.py --json evaluation.json

Features: extract_features of a ResNet over images that lie in memory, against
the bare network on batches that are ready. kNN: the exact search of this
project, sums in float64 and a block at a time, against one matrix of all
similarities in float32 (and in float64).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import torch
from measuring import interleaved, machine, peak_megabytes
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.utils.data import DataLoader

from sce_mm.cli.exit import run_main
from sce_mm.evaluation import extract_features, knn_predict
from sce_mm.evaluation.samples import collate

K, TEMPERATURE, CLASSES = 20, 0.07, 100
Run = Callable[[], object]


def main() -> None:
    """Measure and print; memory first, while no threads have started."""
    args = parse_args()
    # A fork of a process whose threads have started waits for them for ever.
    torch.set_num_threads(1)
    data = clustered(args.bank, args.queries, args.width)
    extra = {
        name: peak_megabytes(lambda run=run: prepare(run, data, args.threads))
        for name, run in KNN.items()
    }
    torch.set_num_threads(args.threads)
    report: dict = {'machine': machine()}
    exact = naive_knn(*data, torch.float64)
    seconds = interleaved(
        {name: lambda run=run: run(*data) for name, run in KNN.items()},
        args.repeats,
    )
    report['knn'] = {
        'sizes': {
            'bank': args.bank,
            'queries': args.queries,
            'width': args.width,
            'k': K,
        },
        'seconds': seconds,
        'extra_megabytes': extra,
        'predictions_as_in_float64': {
            name: (run(*data) == exact).double().mean().item()
            for name, run in KNN.items()
        },
    }
    seconds = interleaved(
        feature_runs(args.depth, args.images, args.size), args.repeats
    )
    report['features'] = {
        'images': args.images,
        'size': args.size,
        'depth': args.depth,
        'seconds': seconds,
    }
    for part in ('knn', 'features'):
        for name, value in report[part]['seconds'].items():
            print(f'{part:9s} {name:32s} {value:7.3f} s')
    if args.json:
        args.json.write_text(json.dumps(report, indent=2) + '\n')


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--bank', type=int, default=50000)
    parser.add_argument('--queries', type=int, default=2000)
    parser.add_argument('--width', type=int, default=512)
    parser.add_argument('--images', type=int, default=256)
    parser.add_argument('--size', type=int, default=64, help='pixels')
    parser.add_argument('--depth', type=int, default=18, help='of the ResNet')
    parser.add_argument('--repeats', type=int, default=7)
    parser.add_argument('--threads', type=int, default=torch.get_num_threads())
    parser.add_argument('--json', type=Path, help='write the figures here')
    return parser.parse_args()


def clustered(
    bank: int, queries: int, width: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Bank, its classes and queries around one centre for each class."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(CLASSES, width, generator=generator)
    labels = torch.arange(bank + queries) % CLASSES
    noise = torch.randn(bank + queries, width, generator=generator)
    points = centres[labels] + 4 * noise
    return points[:bank], labels[:bank], points[bank:]


def own_knn(bank: Tensor, labels: Tensor, queries: Tensor) -> Tensor:
    """Classes by the search of this project."""
    return knn_predict(bank, labels, queries, K, TEMPERATURE)[K]


def naive_knn(
    bank: Tensor,
    labels: Tensor,
    queries: Tensor,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Classes from one matrix of all similarities."""
    bank, queries = (normalize(x, dim=1).to(dtype) for x in (bank, queries))
    similarities, indices = (queries @ bank.T).topk(K)
    votes = torch.zeros(len(queries), CLASSES, dtype=dtype)
    weights = (similarities / TEMPERATURE).exp()
    return votes.scatter_add(1, labels[indices], weights).argmax(dim=1)


def naive_knn_float64(bank: Tensor, labels: Tensor, queries: Tensor) -> Tensor:
    """The same in the precision of ours."""
    return naive_knn(bank, labels, queries, torch.float64)


KNN = {
    'sce_mm': own_knn,
    'one matrix, float32': naive_knn,
    'one matrix, float64': naive_knn_float64,
}


def prepare(run: Callable, data: tuple[Tensor, ...], threads: int) -> Run:
    """Warm the libraries up on the first rows."""
    torch.set_num_threads(threads)
    bank, labels, queries = data
    run(bank[:CLASSES], labels[:CLASSES], queries[:2])
    return lambda: run(*data)


def feature_runs(depth: int, images: int, size: int) -> dict[str, Run]:
    """Extraction and the bare network, on the same images in memory."""
    init_default_scope('mmpretrain')
    torch.manual_seed(0)
    model = Network(depth).eval()
    raw = [
        {'inputs': torch.randint(256, (3, size, size), dtype=torch.uint8)}
        for _ in range(images)
    ]
    loader = DataLoader(raw, batch_size=64, collate_fn=collate)
    batches = [
        model.data_preprocessor({'inputs': batch, 'data_samples': None})[
            'inputs'
        ]
        for batch, _ in loader
    ]

    def bare() -> Tensor:
        with torch.no_grad():
            maps = [model.backbone(batch)[-1] for batch in batches]
        return torch.cat([each.mean(dim=(2, 3)) for each in maps])

    return {
        'sce_mm': lambda: extract_features(model, loader)[0],
        'bare network': bare,
    }


class Network(nn.Module):
    """A backbone and its normalisation, all that extraction looks at."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.backbone = MODELS.build(dict(type='ResNet', depth=depth))
        self.data_preprocessor = MODELS.build(
            dict(
                type='SelfSupDataPreprocessor',
                mean=[123.675, 116.28, 103.53],
                std=[58.395, 57.12, 57.375],
                to_rgb=True,
            )
        )


if __name__ == '__main__':
    run_main(main)
