"""How long a predictor trains: longer schedules, and few labels in full.

A part of the labels has fewer batches an epoch. With the epochs of the config
it would train for fewer iterations than all labels do, and the comparison
would show how far each start comes in a short training. ``--min-iterations``
gives it more epochs, ``--longer-random`` gives random initialisation more. In
both cases the whole schedule of the learning rate is stretched.

A config is written for all labels. With ``--min-iterations`` its schedule
keeps its shape there, as a function of the share of the training that is
done, whether its times are epochs or iterations; but no warm-up takes more
iterations than with all labels.
"""

import re
from collections.abc import Iterator, Mapping
from functools import partial
from math import ceil
from typing import Any, NamedTuple

from mmengine.config import Config

from ..config.errors import ConfigError
from ..downstream import Change, ConfigEdits, type_name

# As many iterations as with all labels.
ALL = 'all'
_REASON = 'a longer training'


class Schedule(NamedTuple):
    """How long one training of a predictor is.

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


class Scale(NamedTuple):
    """By what the times of a schedule, in one unit, are multiplied.

    Attributes:
        warmup: Those within the warm-up.
        after: All others.
    """

    warmup: float
    after: float

    def moved(self, time: float, warmup: float) -> float:
        """A time of a schedule whose warm-up ends at ``warmup``."""
        factor = self.warmup if time <= warmup else self.after
        if factor == 1 or time == float('inf'):
            return time
        return max(1, round(time * factor))


def make_schedule(
    cfg: Config,
    batches: int,
    at_least: int = 0,
    factor: float = 1,
    all_batches: int | None = None,
) -> Schedule:
    """Length of a training on a part of the labels.

    A schedule in epochs gets as many that there are ``at_least`` so many
    iterations; then it is made ``factor`` times as long.

    Args:
        cfg: Config of the predictor, with all overrides.
        batches: Batches of an epoch over the images of the part.
        at_least: Iterations.
        factor: Of random initialisation that trains longer.
        all_batches: Batches of an epoch over the images of all labels. By
            default the part is all.

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
    step = reference = batches if unit == 'max_epochs' else 1
    needed = max(planned, ceil(at_least / step))
    # Where nothing is added, a part trains as the config says.
    if all_batches and unit == 'max_epochs' and needed > planned:
        reference = all_batches
    length = round(needed * factor)
    edits = ConfigEdits(cfg)
    if length != planned:
        # Of the iterations with all labels.
        share = needed * step / (planned * reference)
        scales = {
            'epochs': Scale(
                min(needed / planned, reference / step), length / planned
            ),
            'iterations': Scale(min(1, share), share * length / needed),
        }
        stretch(edits, f'train_cfg.{unit}', length, scales)
    words = tuple(map(_as_word, edits.changes))
    return Schedule(length * step, length * step / batches, words)


def stretch(
    edits: ConfigEdits, key: str, length: int, scales: Mapping[str, Scale]
) -> None:
    """Make a training longer, and the schedules of its optimiser with it.

    Ends, milestones and periods move with ``after``; a warm-up, and what
    begins where it ends, with ``warmup``. There are as many evaluations and
    checkpoints as before.

    Args:
        edits: Config of the predictor.
        key: ``train_cfg.max_epochs`` or ``train_cfg.max_iters``.
        length: New value.
        scales: Of times in ``'epochs'`` and ``'iterations'``.
    """
    factor = length / edits.get(key)
    edits.set(key, length, _REASON)
    for path, warmup in _schedulers(edits):
        scale = scales[_unit(edits.get(path))]
        _stretch_scheduler(edits, path, scale, warmup)
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


def _stretch_scheduler(
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


def _as_word(change: Change) -> str:
    """A change as ``KEY=VALUE``, which holds no blanks."""
    key = re.sub(r'\[(\d+)\]', r'.\1', change.path)
    return f'{key}={change.new!r}'.replace(' ', '')
