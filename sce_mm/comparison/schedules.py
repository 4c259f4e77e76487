"""How long a predictor trains: longer schedules, and few labels in full.

A part of the labels has fewer batches an epoch. With the epochs of the config
it would train for fewer iterations than all labels do, and the comparison
would show how far each start comes in a short training. ``--min-iterations``
gives it more epochs, ``--longer-random`` gives random initialisation more. In
both cases the whole schedule of the learning rate becomes longer.

A config is written for all labels. With ``--min-iterations`` its schedule
keeps its shape there, as a function of the share of the training that is
done, whether its times are epochs or iterations; but no warm-up takes more
iterations than with all labels.
"""

from math import ceil
from typing import Any, NamedTuple

from mmengine.config import Config

from ..config.errors import ConfigError
from ..config.reading import as_option_key
from ..downstream import ConfigEdits
from ..downstream.training_length import Scale, set_training_length
from ..utils.option_values import as_word
from ..utils.text import counted


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
        epochs = f'{self.epochs:g} epoch{"s" * (self.epochs != 1)}'
        return f'{counted(self.iterations, "iteration")}, {epochs}'


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
        at_least: Least number of iterations; 0 for no limit.
        factor: How many times as long random initialisation trains.
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
            'train_cfg of what is trained must have max_epochs or max_iters, '
            f'a positive whole number; got {dict(loop)}'
        )
    step = reference = batches if unit == 'max_epochs' else 1
    needed = max(planned, ceil(at_least / step))
    # Where nothing is added, a part trains as the config says.
    if all_batches and unit == 'max_epochs' and needed > planned:
        reference = all_batches
    length = round(needed * factor)
    edits = ConfigEdits(cfg)
    if length != planned:
        # Iterations here over those with all labels.
        share = needed * step / (planned * reference)
        scales = {
            'epochs': Scale(
                min(needed / planned, reference / step), length / planned
            ),
            'iterations': Scale(min(1, share), share * length / needed),
        }
        set_training_length(edits, f'train_cfg.{unit}', length, scales)
    words = tuple(
        as_word(as_option_key(change.path), change.new)
        for change in edits.changes
    )
    return Schedule(length * step, length * step / batches, words)
