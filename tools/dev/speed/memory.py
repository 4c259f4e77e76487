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

from collections.abc import Callable, Sequence
from functools import partial

import torch
from loss import QUEUE, WIDTH, official
from measuring import command, machine, peak_megabytes, table_text
from mmengine.registry import init_default_scope
from step import Maker, explicit_step, sce_step
from torch import Tensor

from sce_mm.cli.exit import run_main

SIZES = [224, 224, 192, 160, 128, 96]
STEPS = 3  # What is kept from one step to the next is there from the second.


def without_loss(queries: Sequence[Tensor], *_: object) -> Tensor:
    """Something to call backward on."""
    return torch.stack([q.sum() for q in queries]).sum()


CANDIDATES: dict[str, Maker] = {
    'sce_mm': sce_step,
    'official form': partial(explicit_step, official),
    'without loss': partial(explicit_step, without_loss),
}


def measure(
    batch: int, channels: int, threads: int, sizes: Sequence[int] = SIZES
) -> dict:
    """Peak memory of each candidate, in MB above what the libraries take."""
    init_default_scope('mmpretrain')

    def prepare(make: Maker) -> Callable[[], None]:
        torch.set_num_threads(threads)
        train(make, 4, 2, [32] * len(sizes), steps=1)
        return partial(train, make, channels, batch, sizes, STEPS)

    megabytes = {
        name: peak_megabytes(partial(prepare, make))
        for name, make in CANDIDATES.items()
    }
    torch.set_num_threads(threads)
    return {
        'machine': machine(),
        'batch': batch,
        'sizes': [*sizes],
        'channels': channels,
        'megabytes': megabytes,
    }


def train(
    make: Maker, channels: int, batch: int, sizes: Sequence[int], steps: int
) -> None:
    """A training from its beginning, the images being noise."""
    widths = dict(base_channels=channels, stem_channels=channels)
    backbone = dict(type='ResNet', depth=18, **widths)
    step = make(dict(backbone=backbone, features=8 * channels), False)
    views = [torch.randn(batch, 3, size, size) for size in sizes]
    for _ in range(steps):
        step(views, partial(torch.autocast, 'cpu', enabled=False))


def table(report: dict) -> str:
    """Peak memory of a training process with each form of the loss."""
    megabytes = report['megabytes']
    rows = [
        f'| {name} | {value:.0f} '
        f'| {100 * (1 - megabytes["without loss"] / value):.0f} % |'
        for name, value in megabytes.items()
    ]
    sizes = ' + '.join(map(str, report['sizes']))
    header = (
        f'Batch {report["batch"]}, views of {sizes} pixels, queue {QUEUE} x '
        f'{WIDTH}, ResNet-18 of {report["channels"]} channels in its first '
        'stage, float32.\n\n'
        '| process | peak MB above the libraries | of it the loss |'
    )
    return table_text(report['machine'], header, rows)


if __name__ == '__main__':
    numbers = dict(batch=64, channels=16, threads=torch.get_num_threads())
    run_main(partial(command, __doc__, measure, table, **numbers))
