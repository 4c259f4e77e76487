"""Peak memory of a whole training process, with either form of the loss.

    python tools/dev/speed/memory.py --json memory.json

The shapes of the ImageNet recipe with 2 + 4 crops (batch 64, queue of 65 536
keys of width 256) on a ResNet-18 with a quarter of its channels, float32.
Each candidate makes its steps in a process of its own: data in memory,
networks, loss, backward pass, optimiser, average and enqueue. The high-water
mark of the resident memory is given above what the libraries take. ``without
loss`` is that process with the sum of the queries for a loss, so that what is
above it is the loss.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from loss import official
from measuring import machine, peak_megabytes
from mmengine.registry import init_default_scope
from step_candidates import Step, explicit_step, sce_step
from step_models import QUEUE, WIDTH
from torch import Tensor

from sce_mm.cli.exit import run_main

SIZES = [224, 224, 192, 160, 128, 96]
STEPS = 3  # What is kept from one step to the next is there from the second.


def without_loss(queries: Sequence[Tensor], *_: object) -> Tensor:
    """Something to call backward on."""
    return torch.stack([q.sum() for q in queries]).sum()


CANDIDATES: dict[str, Callable[[dict, bool], Step]] = {
    'sce_mm': sce_step,
    'official form': partial(explicit_step, official),
    'without loss': partial(explicit_step, without_loss),
}


def main() -> None:
    """Measure and print; no threads have started before the last process."""
    args = parse_args()
    init_default_scope('mmpretrain')
    megabytes = {
        name: peak_megabytes(partial(prepare, make, args))
        for name, make in CANDIDATES.items()
    }
    torch.set_num_threads(args.threads)
    report = {
        'machine': machine(),
        'batch': args.batch,
        'sizes': SIZES,
        'queue': QUEUE,
        'width': WIDTH,
        'channels': args.channels,
        'megabytes': megabytes,
        'share_of_the_loss': {
            name: 1 - megabytes['without loss'] / value
            for name, value in megabytes.items()
        },
    }
    for name, value in megabytes.items():
        share = report['share_of_the_loss'][name]
        print(f'{name:14s} {value:8.0f} MB, of it the loss {share:6.1%}')
    if args.json:
        args.json.write_text(json.dumps(report, indent=2) + '\n')


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--batch', type=int, default=64)
    parser.add_argument(
        '--channels',
        type=int,
        default=16,
        help='channels of the first stage; 64 in a whole ResNet-18',
    )
    parser.add_argument('--threads', type=int, default=torch.get_num_threads())
    parser.add_argument('--json', type=Path, help='write the figures here')
    return parser.parse_args()


def prepare(
    make: Callable[[dict, bool], Step], args: argparse.Namespace
) -> Callable[[], None]:
    """Warm the libraries, and return the training."""
    torch.set_num_threads(args.threads)
    train(make, 4, 2, [32] * len(SIZES), steps=1)
    return lambda: train(make, args.channels, args.batch, SIZES, STEPS)


def train(
    make: Callable[[dict, bool], Step],
    channels: int,
    batch: int,
    sizes: Sequence[int],
    steps: int,
) -> None:
    """Train on noise from the start."""
    setting = dict(
        backbone=dict(
            type='ResNet',
            depth=18,
            base_channels=channels,
            stem_channels=channels,
        ),
        features=8 * channels,
    )
    step = make(setting, False)
    views = [torch.randn(batch, 3, size, size) for size in sizes]
    for _ in range(steps):
        step(views, partial(torch.autocast, 'cpu', enabled=False))


if __name__ == '__main__':
    run_main(main)
