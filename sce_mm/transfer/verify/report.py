"""A verdict on arrived weights, as text."""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from ..backbone import tensor_hash
from ..describe import same
from .verify import Verdict


def report(
    model: nn.Module,
    weights: Mapping[str, Tensor],
    meta: Mapping[str, Any],
    verdict: Verdict,
) -> str:
    """All that was compared, then what is wrong with it.

    Args:
        model: That was verified.
        weights: Of the file.
        meta: Of the file.
        verdict: Of :func:`sce_mm.transfer.verify.verify.verify`.
    """
    lines = [
        *_tensors(model, weights, meta, verdict),
        *_settings(verdict),
        *_training(verdict),
    ]
    return '\n'.join(lines)


def _tensors(
    model: nn.Module,
    weights: Mapping[str, Tensor],
    meta: Mapping[str, Any],
    verdict: Verdict,
) -> Iterator[str]:
    yield 'tensors'
    for kind, names in verdict.arrival._asdict().items():
        examples = ', '.join(names[:2]) + (', ...' if len(names) > 2 else '')
        yield f'  {kind.replace("_", " "):<17}{len(names):>4}  {examples}'
    state = model.state_dict()
    arrived = {}
    for full in verdict.arrival.loaded:
        name = next(n for n in _endings(full) if n in weights)
        arrived[name] = state[full]
    yield f'  sha256, file     {meta["sha256"]}'
    yield f'  sha256, loaded   {tensor_hash(arrived)}'


def _endings(name: str) -> Iterator[str]:
    """``a.b.c``, ``b.c``, ``c``."""
    while name:
        yield name
        name = name.partition('.')[2]


def _settings(verdict: Verdict) -> Iterator[str]:
    yield 'settings           pretraining / here'
    for name, expected, value in verdict.settings:
        if expected is None:
            mark = 'unknown'
        else:
            mark = 'ok' if same(value, expected) else 'DIFFERENT'
        yield f'  {name:<17}{expected} / {value}  {mark}'


def _training(verdict: Verdict) -> Iterator[str]:
    yield 'training'
    yield f'  frozen           {len(verdict.frozen)} parameters'
    for mode, count in verdict.norms.items():
        yield f'  batch norm       {count} x {mode}'
