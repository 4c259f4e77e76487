"""Time and memory of the loss, forward and backward, against the plain forms.

    python tools/dev/speed/loss.py --json loss.json

Three candidates get the same inputs and must return the same loss and
gradient: the loss of this project, its plain form (chunk_size=None), and the
dense form written as the official code has it, with its copy of the queue.
Two cases: one pair of views at batch 256, and the ten pairs of 2 + 4 crops at
batch 64, both against 65 536 keys of width 256 in float32. Then the extra
memory over batch size and queue length.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from measuring import interleaved, machine, peak_megabytes
from torch import Tensor
from torch.nn.functional import normalize

from sce_mm.cli.exit import run_main
from sce_mm.models import SCELoss

TEMPERATURE, TARGET_TEMPERATURE, COEFF = 0.1, 0.07, 0.5
WIDTH, QUEUE = 256, 65536
Pairs = Sequence[tuple[int, int]]
Loss = Callable[[Sequence[Tensor], Sequence[Tensor], Pairs, Tensor], Tensor]
CASES: dict[str, tuple[int, Pairs]] = {
    'one pair, batch 256': (256, [(0, 0)]),
    '2 + 4 crops, batch 64': (
        64,
        [(i, j) for j in range(2) for i in range(6) if i != j],
    ),
}
CURVES = {
    'batch': [(batch, QUEUE) for batch in (64, 128, 256, 512)],
    'queue': [(256, 2**power) for power in (13, 14, 15, 16)],
}


def main() -> None:
    """Measure and print; memory first, while no threads have started."""
    args = parse_args()
    report: dict = {'threads_asked': args.threads, 'cases': {}}
    for name, (batch, pairs) in CASES.items():
        report['cases'][name] = {
            'batch': batch,
            'queue': QUEUE,
            'width': WIDTH,
            'extra_megabytes': memory(batch, QUEUE, pairs, args.threads),
        }
    report['memory_curve'] = {
        axis: [
            {'batch': batch, 'queue': queue}
            | memory(batch, queue, [(0, 0)], args.threads)
            for batch, queue in points
        ]
        for axis, points in CURVES.items()
    }
    torch.set_num_threads(args.threads)
    report['machine'] = machine()
    for name, (batch, pairs) in CASES.items():
        report['cases'][name] |= speed(batch, pairs, args.repeats)
        print_case(name, report['cases'][name])
    if args.json:
        args.json.write_text(json.dumps(report, indent=2) + '\n')


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--repeats', type=int, default=9)
    parser.add_argument('--threads', type=int, default=torch.get_num_threads())
    parser.add_argument('--json', type=Path, help='write the figures here')
    return parser.parse_args()


def sce_mm(chunk_size: str | None) -> Loss:
    """Our loss, with the released code's zero logit so that values agree."""
    module = SCELoss(
        TEMPERATURE,
        TARGET_TEMPERATURE,
        COEFF,
        official_zero_logit=True,
        chunk_size=chunk_size,
    )
    return lambda queries, keys, pairs, queue: module(
        queries, keys, pairs, queue
    )['loss']


def official(
    queries: Sequence[Tensor],
    keys: Sequence[Tensor],
    pairs: Pairs,
    queue: Tensor,
) -> Tensor:
    """The order of operations of the official code, pair by pair.

    The queue is kept there as columns, and every step copies it.
    """
    columns = queue.T.clone(memory_format=torch.contiguous_format)
    losses = []
    for i, j in pairs:
        query, key = queries[i], keys[j]
        positive = (query * key).sum(dim=1, keepdim=True)
        online = torch.cat([positive, query @ columns], dim=1)
        target = torch.cat([torch.zeros_like(positive), key @ columns], dim=1)
        relation = torch.softmax(target.detach() / TARGET_TEMPERATURE, dim=1)
        one_hot = torch.zeros_like(relation)
        one_hot[:, 0] = 1
        weights = normalize(
            COEFF * one_hot + (1 - COEFF) * relation, p=1, dim=1
        )
        log_prob = torch.log_softmax(online / TEMPERATURE, dim=1)
        losses.append(-(weights * log_prob).sum(dim=1).mean())
    return torch.stack(losses).mean()


CANDIDATES: dict[str, Loss] = {
    'sce_mm': sce_mm('auto'),
    'sce_mm, plain form': sce_mm(None),
    'official form': official,
}


def inputs(
    batch: int, queue: int, pairs: Pairs
) -> tuple[list[Tensor], list[Tensor], Pairs, Tensor]:
    """Random unit rows, the same for every candidate."""
    generator = torch.Generator().manual_seed(0)
    sizes = (
        *[batch] * (1 + max(i for i, _ in pairs)),
        *[batch] * (1 + max(j for _, j in pairs)),
        queue,
    )
    *rows, memory = (
        normalize(torch.randn(n, WIDTH, generator=generator), dim=1)
        for n in sizes
    )
    online = len(rows) - 1 - max(j for _, j in pairs)
    queries = [x.requires_grad_() for x in rows[:online]]
    return queries, rows[online:], pairs, memory


def step(loss: Loss, arguments: tuple) -> tuple[Tensor, Tensor]:
    """Forward and backward: the loss and the gradient of all queries."""
    value = loss(*arguments)
    return value.detach(), torch.stack(
        torch.autograd.grad(value, arguments[0])
    )


def memory(
    batch: int, queue: int, pairs: Pairs, threads: int
) -> dict[str, float]:
    """Peak extra memory of each candidate, in MB."""

    def prepare(loss: Loss) -> Callable[[], object]:
        torch.set_num_threads(threads)
        step(loss, inputs(16, 64, [(0, 0)]))
        arguments = inputs(batch, queue, pairs)
        return lambda: step(loss, arguments)

    return {
        name: peak_megabytes(lambda loss=loss: prepare(loss))
        for name, loss in CANDIDATES.items()
    }


def speed(batch: int, pairs: Pairs, repeats: int) -> dict:
    """Seconds, ratios, and how far losses and gradients are apart."""
    arguments = inputs(batch, QUEUE, pairs)
    results = {n: step(f, arguments) for n, f in CANDIDATES.items()}
    loss, gradient = results['official form']
    seconds = interleaved(
        {
            name: lambda loss=loss: step(loss, arguments)
            for name, loss in CANDIDATES.items()
        },
        repeats,
    )
    return {
        'seconds': seconds,
        'times_faster': {
            name: value / seconds['sce_mm'] for name, value in seconds.items()
        },
        'relative_difference_of_loss': {
            name: ((value - loss).abs() / loss).item()
            for name, (value, _) in results.items()
        },
        'relative_difference_of_gradient': {
            name: ((value - gradient).norm() / gradient.norm()).item()
            for name, (_, value) in results.items()
        },
    }


def print_case(name: str, case: dict) -> None:
    """One line for each candidate."""
    print(name)
    ours = case['extra_megabytes']['sce_mm']
    for candidate, seconds in case['seconds'].items():
        extra = case['extra_megabytes'][candidate]
        print(
            f'  {candidate:20s} {seconds:7.3f} s'
            f'  {case["times_faster"][candidate]:5.2f} x the time'
            f'  {extra:8.1f} MB  {extra / ours:6.1f} x the memory'
        )


if __name__ == '__main__':
    run_main(main)
