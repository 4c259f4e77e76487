"""Schedules of the optimiser step in closed form, and how steps are counted.

A schedule maps the number t of optimiser steps that are done to a value. It
has no state, so a resumed run reads the value that an uninterrupted one
would. Over T steps, t runs from 0 to T - 1 and both ends are reached.

With gradient accumulation an optimiser step comes once in several iterations;
everything that SCE does once a step (momentum average, enqueue, schedules)
goes by the counts at the end of this module. They follow from the iteration,
so that nothing has to be saved for a resume.
"""

import math
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise

from mmengine.runner import Runner

from ...utils.errors import UserError

Schedule = Callable[[int], float]


def linear(start: float, end: float, steps: int) -> Schedule:
    """``start + (end - start) t / (T - 1)``, then ``end``."""
    return lambda step: start + (end - start) * _progress(step, steps)


def cosine(start: float, end: float, steps: int) -> Schedule:
    """``end + (start - end) (1 + cos(pi t / (T - 1))) / 2``, then ``end``."""
    return lambda step: (
        end
        + (start - end) * (1 + math.cos(math.pi * _progress(step, steps))) / 2
    )


def joined(schedules: Sequence[Schedule], lengths: Sequence[int]) -> Schedule:
    """One schedule after the other, each from its step 0; the last stays."""

    def value(step: int) -> float:
        for schedule, length in zip(schedules[:-1], lengths, strict=False):
            if step < length:
                return schedule(step)
            step -= length
        return schedules[-1](step)

    return value


def _progress(step: int, steps: int) -> float:
    """Share of the way done at ``step``, in [0, 1]; 1 if there is no way."""
    return min(step / (steps - 1), 1.0) if steps > 1 else 1.0


def build_schedule(
    phases: dict | Sequence[dict], total_steps: int, steps_per_epoch: float
) -> Schedule:
    """Schedule from a config.

    >>> warm_up = dict(kind='linear', start=1.0, end=0.5, steps=3)
    >>> then = dict(kind='constant', value=0.5)
    >>> schedule = build_schedule([warm_up, then], 5, steps_per_epoch=5)
    >>> [schedule(t) for t in range(5)]
    [1.0, 0.75, 0.5, 0.5, 0.5]

    Args:
        phases: One phase or several in turn, each a dict with ``kind``
            (``'constant'``, ``'linear'`` or ``'cosine'``), ``value`` or
            ``start`` and ``end``, and ``epochs`` or ``steps``. Without these
            the last phase takes what is left of the run.
        total_steps: Optimiser steps of the whole run.
        steps_per_epoch: Optimiser steps of an epoch, not always whole.

    Raises:
        UserError: A phase is malformed, or they last longer than the run.
    """
    phases = check_phases(phases)
    done = accumulate(_length(phase, steps_per_epoch) for phase in phases)
    # Rounded together: they are no longer than what they are a share of.
    lengths = [b - a for a, b in pairwise([0, *map(round, done)])]
    if sum(lengths) > total_steps:
        raise UserError(
            f'the phases of a schedule last {sum(lengths)} optimiser steps '
            f'but the run has {total_steps} ({steps_per_epoch:g} an epoch): '
            f'shorten them, or train longer; they are {phases}'
        )
    if not _LENGTHS & set(phases[-1]):
        lengths[-1] = total_steps - sum(lengths)
    schedules = []
    for phase, steps in zip(phases, lengths, strict=True):
        make, ends = _KINDS[phase['kind']]
        schedules.append(make(*(phase[end] for end in ends), steps))
    return joined(schedules, lengths)


def schedule_of(runner: Runner, phases: Sequence[dict]) -> Schedule:
    """Schedule of a run whose phases are checked."""
    return build_schedule(phases, total_steps(runner), steps_per_epoch(runner))


# How a phase is made, and what it gives the value of.
_KINDS: dict[str, tuple[Callable[..., Schedule], tuple[str, ...]]] = {
    'constant': (lambda value, steps: lambda step: value, ('value',)),
    'linear': (linear, ('start', 'end')),
    'cosine': (cosine, ('start', 'end')),
}
_LENGTHS = {'epochs', 'steps'}


def check_phases(phases: dict | Sequence[dict]) -> list[dict]:
    """The phases of :func:`build_schedule` as a list, if they make sense."""
    phases = [phases] if isinstance(phases, dict) else list(phases)
    if not phases:
        raise UserError('a schedule needs at least one phase, got none')
    for phase in phases:
        _check_phase(phase)
    for phase in phases[:-1]:
        if not _LENGTHS & set(phase):
            raise UserError(
                'every phase but the last needs its length, epochs or steps; '
                f'this one has none: {phase}'
            )
    return phases


def values_of(phases: Sequence[dict]) -> list[float]:
    """All values that the phases begin with, end with or stay at."""
    return [p[end] for p in phases for end in _KINDS[p['kind']][1]]


def _check_phase(phase: dict) -> None:
    kind = phase.get('kind')
    if kind not in _KINDS:
        raise UserError(
            f'kind must be one of {sorted(_KINDS)}, got {kind!r} in {phase}'
        )
    _, ends = _KINDS[kind]
    length = set(phase) & _LENGTHS
    if set(phase) - {'kind'} - length != set(ends) or len(length) > 1:
        raise UserError(
            f'a {kind} phase takes {", ".join(ends)} and epochs or '
            f'steps, not both; got {phase}'
        )
    for name in set(phase) - {'kind'}:
        if type(phase[name]) not in (int, float):
            raise UserError(f'{name} must be a number: {phase}')
        if name in length and phase[name] <= 0:
            raise UserError(f'epochs or steps must be positive: {phase}')


def _length(phase: dict, steps_per_epoch: float) -> float:
    """Steps of a phase, 0 if that is not given."""
    if 'epochs' in phase:
        return phase['epochs'] * steps_per_epoch
    return phase.get('steps', 0)


def accumulation(runner: Runner) -> int:
    """Iterations that make one optimiser step."""
    return runner.optim_wrapper._accumulative_counts


def current_step(runner: Runner) -> int:
    """Optimiser steps done before the one that this iteration is part of."""
    return runner.iter // accumulation(runner)


def total_steps(runner: Runner) -> int:
    """Optimiser steps of the whole run."""
    return math.ceil(runner.max_iters / accumulation(runner))


def steps_per_epoch(runner: Runner) -> float:
    """Optimiser steps of an epoch; not whole if accumulation crosses it."""
    return len(runner.train_dataloader) / accumulation(runner)
