"""Choose the epochs of a config by its images (``--epochs auto``).

What a recipe needs is a number of optimiser steps: with few images it takes
more epochs. A recipe says it beside the batch that its learning rate is for:

    auto_scale_lr = dict(base_batch_size=64)
    auto_epochs = dict(steps=20000)
"""

from math import ceil
from typing import Any

from mmengine.config import Config

from .building import build_dataset
from .counts import step_images
from .errors import ConfigError
from .parts import repeated_datasets

# No published recipe for SCE has fewer or more.
LEAST, MOST = 100, 1000


def choose_epochs(
    steps: int, samples: int, batch: int, base_batch: int | None = None
) -> int:
    """Number of epochs in which a run comes to so many steps.

    At least 100 and at most 1000, as published recipes have. With another
    batch than the recipe's it sees as many images, in fewer steps or more.

    >>> choose_epochs(20000, samples=5000, batch=64)
    257
    >>> choose_epochs(20000, samples=300, batch=64)
    1000
    >>> choose_epochs(20000, samples=5000, batch=128, base_batch=64)
    257

    Args:
        steps: Steps that the recipe needs.
        samples: Samples of an epoch; what is less than a step is left out.
        batch: Images of a step.
        base_batch: Images of a step of the recipe. Defaults to ``batch``.
    """
    steps_of_epoch = max(1, samples // batch)
    needed = steps * (base_batch or batch) / batch
    return min(max(ceil(needed / steps_of_epoch), LEAST), MOST)


def auto_epochs(cfg: Config, samples: int | None = None) -> int:
    """Choose the number of epochs by the images that a config trains on.

    Args:
        cfg: Config with ``auto_epochs = dict(steps=...)``.
        samples: Samples of an epoch. By default the data set is built and
            counted.

    Raises:
        ConfigError: The config does not say how many steps it needs.
        UserError: There are no images.
    """
    steps: Any = (cfg.get('auto_epochs') or {}).get('steps')
    if steps is None:
        raise ConfigError(
            '--epochs auto: this config does not say how many steps it needs; '
            'add auto_epochs = dict(steps=20000) to it, or give a number of '
            'epochs'
        )
    if type(steps) is not int or steps < 1:
        raise ConfigError(
            f'auto_epochs.steps: must be a whole number above 0, got {steps!r}'
        )
    base = (cfg.get('auto_scale_lr') or {}).get('base_batch_size')
    if samples is None:
        samples = count_samples(cfg)
    return choose_epochs(steps, samples, step_images(cfg), base)


def count_samples(cfg: Config) -> int:
    """Samples of an epoch of the training, which builds its data sets.

    Raises:
        UserError: There are no images.
    """
    return sum(
        len(build_dataset(key, dataset)) * times
        for key, dataset, times in repeated_datasets(cfg)
    )
