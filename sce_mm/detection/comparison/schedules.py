"""How long a detector trains: longer schedules, and few labels in full.

A part of the labels has fewer batches an epoch. With the epochs of the config
it would train for fewer iterations than all labels do, and the comparison
would show how far each start comes in a short training. ``--min-iterations``
gives it more epochs, ``--longer-random`` gives random initialisation more. In
both cases the whole schedule of the learning rate is stretched.
"""

import re
from collections.abc import Iterator
from functools import partial
from math import ceil
from typing import Any, NamedTuple

from mmengine.config import Config

from ...config.errors import ConfigError
from ...downstream import Change, ConfigEdits, type_name

# As many iterations as with all labels.
ALL = 'all'
_REASON = 'a longer training'


class Schedule(NamedTuple):
    """How long one training of a detector is.

    Attributes:
        iterations: Batches that it trains on.
        epochs: Times that it sees each of its images.
        overrides: ``KEY=VALUE`` words that make the schedule of the config
            so long; none if it is.
    """

    iterations: int
    epochs: float
    overrides: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f'{self.iterations} iterations, {self.epochs:g} epochs'


def make_schedule(
    cfg: Config, batches: int, at_least: int = 0, factor: float = 1
) -> Schedule:
    """Length of a training on a part of the labels.

    A schedule in epochs gets as many that there are ``at_least`` so many
    iterations; then it is made ``factor`` times as long.

    Args:
        cfg: Config of the detector, with all overrides.
        batches: Batches of an epoch over the images of the part.
        at_least: Iterations.
        factor: Of random initialisation that trains longer.

    Raises:
        ConfigError: The config does not say how long it trains.
    """
    loop = cfg.get('train_cfg') or {}
    unit = next((k for k in ('max_epochs', 'max_iters') if k in loop), None)
    planned: Any = loop[unit] if unit else None
    if type(planned) is not int or planned < 1:
        raise ConfigError(
            'train_cfg of the detector must have max_epochs or max_iters, a '
            f'positive whole number; got {dict(loop)}'
        )
    step = batches if unit == 'max_epochs' else 1
    needed = max(planned, ceil(at_least / step))
    length = round(needed * factor)
    edits = ConfigEdits(cfg)
    if length != planned:
        stretch(edits, f'train_cfg.{unit}', length)
    words = tuple(map(_as_word, edits.changes))
    return Schedule(length * step, length * step / batches, words)


def stretch(edits: ConfigEdits, key: str, length: int) -> None:
    """Make a training longer, and the schedules of its optimiser with it.

    Ends, milestones and periods move in proportion. A warm-up, and what
    begins where it ends, stay: networks need so many iterations of it however
    long they train. There are as many evaluations and checkpoints as before.

    Args:
        edits: Config of the detector.
        key: ``train_cfg.max_epochs`` or ``train_cfg.max_iters``.
        length: New value.
    """
    factor = length / edits.get(key)
    edits.set(key, length, _REASON)
    for path, warmup in _schedulers(edits):
        _stretch_scheduler(edits, path, factor, warmup)
    intervals = ['train_cfg.val_interval', 'default_hooks.checkpoint.interval']
    hooks = edits.get('custom_hooks') or []
    intervals += [
        f'custom_hooks[{index}].{name}'
        for index in range(len(hooks))
        for name in ('switch_epoch', 'num_last_epochs')
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


def _schedulers(edits: ConfigEdits) -> Iterator[tuple[str, float]]:
    """Path of each scheduler, and where the warm-up ends in its unit."""
    found = edits.get('param_scheduler') or []
    paths = ['param_scheduler']
    if isinstance(found, list | tuple):
        paths = [f'param_scheduler[{index}]' for index in range(len(found))]
    ends: dict[bool, float] = {True: 0, False: 0}
    for path in paths:
        scheduler = edits.get(path)
        if _is_warmup(scheduler):
            unit = scheduler.get('by_epoch', True)
            ends[unit] = max(ends[unit], scheduler.get('end') or 0)
    for path in paths:
        yield path, ends[edits.get(path).get('by_epoch', True)]


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


def _stretch_scheduler(
    edits: ConfigEdits, path: str, factor: float, warmup: float
) -> None:
    moved = partial(_moved, factor=factor, warmup=warmup)
    scheduler = edits.get(path)
    begin, end = scheduler.get('begin') or 0, scheduler.get('end')
    changed: dict[str, Any] = {}
    for name in ('begin', 'end'):
        if value := scheduler.get(name):
            changed[name] = moved(value)
    for name in ('T_max', 'step_size', 'total_steps'):
        if value := scheduler.get(name):
            changed[name] = round(value * factor)
    if end and end > begin and 'T_max' in changed:
        # In proportion to what lies between, of which no warm-up is part.
        own = (moved(end) - moved(begin)) / (end - begin)
        changed['T_max'] = round(scheduler['T_max'] * own)
    for name in ('milestones', 'periods'):
        if values := scheduler.get(name):
            changed[name] = [moved(value) for value in values]
    if type_name(scheduler) == 'ExponentialLR':
        changed['gamma'] = scheduler['gamma'] ** (1 / factor)
    for name, value in changed.items():
        edits.set(f'{path}.{name}', value, _REASON)


def _moved(time: float, factor: float, warmup: float) -> float:
    if time <= warmup or time == float('inf'):
        return time
    return max(1, round(time * factor))


def _as_word(change: Change) -> str:
    """A change as ``KEY=VALUE``, which holds no blanks."""
    key = re.sub(r'\[(\d+)\]', r'.\1', change.path)
    return f'{key}={change.new!r}'.replace(' ', '')
