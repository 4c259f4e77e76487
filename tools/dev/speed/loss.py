"""Time and memory of the loss, forward and backward, against the plain forms.

    python tools/dev/speed/loss.py --json loss.json

Three candidates get the same inputs and must return the same loss and
gradient: the loss of this project, its plain form (chunk_size=None), and the
dense form written as the official code has it, with its copy of the queue.
Two cases: one pair of views at batch 256, and the ten pairs of 2 + 4 crops at
batch 64, both against 65 536 keys of width 256 in float32. Then the extra
memory over batch size and queue length.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from measuring import command, interleaved, machine, peak_megabytes, table_text
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


def measure(repeats: int, threads: int) -> dict:
    """Figures of all cases; memory first, while no threads have started."""
    cases = {
        name: {'extra_megabytes': memory(batch, QUEUE, pairs, threads)}
        for name, (batch, pairs) in CASES.items()
    }
    curve = {
        axis: [
            {'batch': batch, 'queue': queue}
            | memory(batch, queue, [(0, 0)], threads)
            for batch, queue in points
        ]
        for axis, points in CURVES.items()
    }
    torch.set_num_threads(threads)
    before = machine()
    for name, (batch, pairs) in CASES.items():
        cases[name] |= speed(batch, QUEUE, pairs, repeats)
    return {'machine': before, 'cases': cases, 'memory_curve': curve}


def table(report: dict) -> str:
    """Time and memory of each case, and how far the gradients are apart."""
    rows = []
    for name, case in report['cases'].items():
        seconds, extra = case['seconds'], case['extra_megabytes']
        for candidate, apart in case['gradient_apart'].items():
            rows.append(
                f'| {name} | {candidate} | {seconds[candidate]:.3f} '
                f'| {seconds[candidate] / seconds["sce_mm"]:.2f} '
                f'| {extra[candidate]:.1f} '
                f'| {extra[candidate] / extra["sce_mm"]:.0f} '
                f'| {f"{apart:.0e}" if apart else "reference"} |'
            )
    header = (
        '| case | loss | seconds | time / sce_mm | extra MB '
        '| memory / sce_mm | gradient apart |'
    )
    return table_text(report['machine'], header, rows)


def sce_mm(chunk_size: str | None) -> Loss:
    """Our loss, with the released code's zero logit so that values agree."""
    options = dict(official_zero_logit=True, chunk_size=chunk_size)
    module = SCELoss(TEMPERATURE, TARGET_TEMPERATURE, COEFF, **options)
    return lambda *inputs: module(*inputs)['loss']


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


def inputs(batch: int, queue: int, pairs: Pairs) -> tuple:
    """Random unit rows, the same for every candidate."""
    generator = torch.Generator().manual_seed(0)

    def rows(count: int) -> Tensor:
        return normalize(torch.randn(count, WIDTH, generator=generator), dim=1)

    online, targets = (1 + max(each) for each in zip(*pairs, strict=True))
    queries = [rows(batch).requires_grad_() for _ in range(online)]
    return queries, [rows(batch) for _ in range(targets)], pairs, rows(queue)


def step(loss: Loss, arguments: tuple) -> tuple[Tensor, Tensor]:
    """Forward and backward: the loss and the gradient of all queries."""
    value = loss(*arguments)
    gradients = torch.autograd.grad(value, arguments[0])
    return value.detach(), torch.stack(gradients)


def memory(batch: int, queue: int, pairs: Pairs, threads: int) -> dict:
    """Peak extra memory of each candidate on the CPU, in MB."""

    def prepare(loss: Loss) -> Callable[[], object]:
        torch.set_num_threads(threads)
        step(loss, inputs(16, 64, [(0, 0)]))
        return partial(step, loss, inputs(batch, queue, pairs))

    return {
        name: peak_megabytes(partial(prepare, loss))
        for name, loss in CANDIDATES.items()
    }


def speed(batch: int, queue: int, pairs: Pairs, repeats: int) -> dict:
    """Seconds of each candidate, and how far its gradient is from dense."""
    arguments = inputs(batch, queue, pairs)
    runs = {
        name: partial(step, loss, arguments)
        for name, loss in CANDIDATES.items()
    }
    gradients = {name: run()[1] for name, run in runs.items()}
    dense = gradients['official form']
    return {
        'seconds': interleaved(runs, repeats),
        'gradient_apart': {
            name: ((gradient - dense).norm() / dense.norm()).item()
            for name, gradient in gradients.items()
        },
    }


if __name__ == '__main__':
    numbers = dict(repeats=9, threads=torch.get_num_threads())
    run_main(partial(command, __doc__, measure, table, **numbers))
