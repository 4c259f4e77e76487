"""Make the training of a config longer or shorter, with all its schedules."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from ..config.parts import hooks_of, type_name
from .edits import ConfigEdits

_REASON = 'the length of the training'
# Hooks that take phases of a schedule, and the argument that has them.
_PHASES = {'ScheduledValueHook': 'schedule', 'MomentumUpdateHook': 'momentum'}


class Scale(NamedTuple):
    """Factors of the times of a schedule, in one unit.

    Attributes:
        warmup: Factor of times within the warm-up.
        after: Factor of all other times.
    """

    warmup: float
    after: float

    def moved(self, time: float, warmup: float) -> float:
        """A time of a schedule whose warm-up ends at ``warmup``."""
        factor = self.warmup if time <= warmup else self.after
        if factor == 1 or time == float('inf'):
            return time
        return max(1, round(time * factor))


def set_training_length(
    edits: ConfigEdits, key: str, length: int, scales: Mapping[str, Scale]
) -> None:
    """Set the length of a training; the schedules of its optimiser follow.

    Ends, milestones and periods move with ``after``; a warm-up, and what
    begins where it ends, with ``warmup``. There are as many evaluations and
    checkpoints as before, and the phases of hooks keep their shares.

    Args:
        edits: Config.
        key: ``train_cfg.max_epochs`` or ``train_cfg.max_iters``.
        length: New value.
        scales: Factors of times in ``'epochs'`` and ``'iterations'``.
    """
    factor = length / edits.get(key)
    edits.set(key, length, _REASON)
    for path, warmup in _schedulers(edits):
        scale = scales[_unit(edits.get(path))]
        _scale_scheduler(edits, path, scale, warmup)
    intervals = ['train_cfg.val_interval', 'default_hooks.checkpoint.interval']
    hooks = edits.get('custom_hooks') or []
    intervals += [
        f'custom_hooks[{index}].{name}'
        for index in range(len(hooks))
        for name in ('switch_epoch', 'num_last_epochs')
    ]
    intervals += [
        f'{path}.interval'
        for path, hook in hooks_of(edits.cfg)
        if type_name(hook) == 'OnlineKNNHook'
    ]
    for path in intervals:
        value = edits.get(path)
        if isinstance(value, int) and value > 0:
            edits.set(path, max(1, round(value * factor)), _REASON)
    if dynamic := edits.get('train_cfg.dynamic_intervals'):
        moved = [
            (round(start * factor), interval) for start, interval in dynamic
        ]
        edits.set('train_cfg.dynamic_intervals', moved, _REASON)
    for path, phase in _phases(edits):
        if epochs := phase.get('epochs'):
            share = scales['epochs'].after
            edits.set(f'{path}.epochs', epochs * share, _REASON)
        elif steps := phase.get('steps'):
            share = scales['iterations'].after
            # Never more than the share, so that all fit into the run.
            least = max(1, int(steps * share))
            edits.set(f'{path}.steps', least, _REASON)


def _phases(edits: ConfigEdits) -> Iterator[tuple[str, Any]]:
    """Phases of values that hooks change as a training goes on."""
    for where, hook in hooks_of(edits.cfg):
        name = _PHASES.get(type_name(hook))
        phases = hook.get(name) if name else None
        if isinstance(phases, dict):
            yield f'{where}.{name}', phases
        elif isinstance(phases, list):
            for index, phase in enumerate(phases):
                yield f'{where}.{name}[{index}]', phase


def _schedulers(edits: ConfigEdits) -> Iterator[tuple[str, float]]:
    """Path of each scheduler, and where the warm-up ends in its unit."""
    found = edits.get('param_scheduler') or []
    paths = ['param_scheduler']
    if isinstance(found, list | tuple):
        paths = [f'param_scheduler[{index}]' for index in range(len(found))]
    ends: dict[str, float] = {'epochs': 0, 'iterations': 0}
    for path in paths:
        scheduler = edits.get(path)
        if _is_warmup(scheduler):
            unit = _unit(scheduler)
            ends[unit] = max(ends[unit], scheduler.get('end') or 0)
    for path in paths:
        yield path, ends[_unit(edits.get(path))]


def _unit(scheduler: Any) -> str:
    return 'epochs' if scheduler.get('by_epoch', True) else 'iterations'


def _is_warmup(scheduler: Any) -> bool:
    if scheduler.get('begin'):
        return False
    name = type_name(scheduler)
    if name == 'LinearLR':
        first, last = (
            scheduler.get('start_factor', 1 / 3),
            scheduler.get('end_factor', 1),
        )
        return first < last
    return name in ('ConstantLR', 'QuadraticWarmupLR')


def _scale_scheduler(
    edits: ConfigEdits, path: str, scale: Scale, warmup: float
) -> None:
    moved = partial(scale.moved, warmup=warmup)
    scheduler = edits.get(path)
    begin, end = scheduler.get('begin') or 0, scheduler.get('end')
    changed: dict[str, Any] = {}
    for name in ('begin', 'end'):
        if value := scheduler.get(name):
            changed[name] = moved(value)
    for name in ('T_max', 'step_size', 'total_steps'):
        if value := scheduler.get(name):
            changed[name] = round(value * scale.after)
    if end and end > begin and 'T_max' in changed:
        # In proportion to what lies between, of which no warm-up is part.
        own = (moved(end) - moved(begin)) / (end - begin)
        changed['T_max'] = round(scheduler['T_max'] * own)
    for name in ('milestones', 'periods'):
        if values := scheduler.get(name):
            changed[name] = [moved(value) for value in values]
    if type_name(scheduler) == 'ExponentialLR':
        changed['gamma'] = scheduler['gamma'] ** (1 / scale.after)
    for name, value in changed.items():
        edits.set(f'{path}.{name}', value, _REASON)
