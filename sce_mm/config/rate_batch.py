"""The batch that a learning rate belongs to, and the rate for another one."""

import ast
import math
import re
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config

from .parts import type_name
from .reading import inherited_configs

# Between a rate that was scaled by hand, and rounded, and the exact one.
_ROUNDED = 0.02


class RateBatch(NamedTuple):
    """The batch that a learning rate belongs to.

    Attributes:
        images: Images of a step, on all processes; None if only
            ``auto_scale_lr.base_batch_size`` says it.
        reason: Text on how that is known, empty with None.
        doubtful: Whether the rate is another one than that of the config
            that says the batch, and not that one scaled.
    """

    images: int | None = None
    reason: str = ''
    doubtful: bool = False


# That of ``auto_scale_lr``.
AS_SAID = RateBatch()


def batch_of_rate(
    config: str,
    cfg: Config,
    processes: int = 1,
    batch: int | None = None,
) -> RateBatch:
    """Batch of the rate of a config, by the files and names it comes from.

    A file that sets ``base_batch_size`` itself knows better. One that inherits
    it may not: mmdet's RTMDets were trained in batches of 256, as their names
    say, and inherit the 16 of a schedule that is not theirs. A rate that is
    inherited is for the batch of the file that it comes from, whatever the
    own name says. A rate that is an inherited one, scaled to the images of a
    step, was scaled by hand and is for these.

    Args:
        config: Path of the config, or ``package::name``.
        cfg: What it says, perhaps with values of a command line.
        processes: Processes of the training.
        batch: Images of each, where they will not be those of the config.
    """
    path = Path(config)
    # Where packages have their configs, whichever way they are named.
    is_stock = '::' in config or '.mim' in path.parts
    if is_stock or not path.is_file() or Config._is_lazy_import(config):
        return _by_name(config)
    own = Config.fromfile(config)
    # The rate of a command line takes the place of that of the file.
    typed = _rate(own) != _rate(cfg)
    if not typed and _sets_batch(path):
        return AS_SAID
    images = {_images(own), _images(cfg), _images(cfg, batch)}
    steps = sorted(processes * each for each in images)
    for source in [config] if typed else inherited_configs(config):
        other = Config.fromfile(source)
        found = batch_of_rate(source, other, processes)
        base = found.images or _base_batch(other)
        if _rate(other) == _rate(cfg):
            return found if base else _by_name(config)
        for step in steps if base else ():
            if _follows(_optimizer(cfg), _optimizer(other), step / base):
                return RateBatch(
                    step,
                    f'as it is the {_rate(other)} of {Path(source).name} for '
                    f'{base}, scaled by hand',
                )
    found = AS_SAID if typed else _by_name(config)
    return found._replace(doubtful=not found.images and bool(_base_batch(cfg)))


def _by_name(config: str) -> RateBatch:
    batch = batch_in_name(config)
    reason = 'as the name of its config says'
    return RateBatch(batch, reason) if batch else AS_SAID


def batch_in_name(config: str) -> int | None:
    """Batch in the name of a config, which OpenMMLab writes as ``4xb2``.

    >>> batch_in_name('mmseg::fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py')
    8
    >>> batch_in_name('my_fcn.py')
    """
    match = re.search(r'_(\d+)xb(\d+)[-_]', Path(config).name)
    return int(match[1]) * int(match[2]) if match else None


def _sets_batch(path: Path) -> bool:
    """Whether a config itself sets ``auto_scale_lr.base_batch_size``."""
    name, text = 'base_batch_size', path.read_text(errors='replace')
    if name not in text or path.suffix != '.py':
        return name in text
    return any(
        name
        in (
            getattr(node, 'arg', None),
            getattr(node, 'attr', None),
            getattr(node, 'value', None),
        )
        for node in ast.walk(ast.parse(text))
    )


def _follows(own: dict, other: dict, ratio: float) -> bool:
    """Whether a rate is another one, scaled to so many times its batch.

    In proportion is what most people do, whatever the optimiser.
    """
    rates: Any = own.get('lr'), other.get('lr')
    name = type_name(own)
    if name != type_name(other) or not all(
        isinstance(rate, int | float) and rate > 0 for rate in rates
    ):
        return False
    factors = {ratio, rate_factor(ratio, name)[0]} - {1}
    return any(
        math.isclose(rates[0], rates[1] * factor, rel_tol=_ROUNDED)
        for factor in factors
    )


def _optimizer(cfg: Config) -> dict:
    wrapper: Any = cfg.get('optim_wrapper')
    found = wrapper.get('optimizer') if isinstance(wrapper, dict) else None
    return found if isinstance(found, dict) else {}


def _rate(cfg: Config) -> Any:
    return _optimizer(cfg).get('lr')


def _base_batch(cfg: Config) -> Any:
    return (cfg.get('auto_scale_lr') or {}).get('base_batch_size')


def _images(cfg: Config, batch: int | None = None) -> int:
    """Images of a step of one process; 0 if they are not a number."""
    loader, wrapper = cfg.get('train_dataloader'), cfg.get('optim_wrapper')
    if batch is None and isinstance(loader, dict):
        batch = loader.get('batch_size')
    steps = isinstance(wrapper, dict) and wrapper.get('accumulative_counts')
    return batch * (steps or 1) if isinstance(batch, int) else 0


def rate_factor(ratio: float, optimizer: str) -> tuple[float, str]:
    """Factor of a learning rate for another batch.

    The ratio for optimisers whose step is as large as the gradient or as the
    weights (Goyal et al., arXiv:1706.02677), its square root for Adam and
    others that divide the gradient by its own size (Malladi et al.,
    arXiv:2205.10287).

    >>> rate_factor(4, 'SGD')
    (4, 'in proportion')
    >>> rate_factor(4, 'AdamW')
    (2.0, 'by the square root, as AdamW divides gradients by their size')

    The ratio is that of the images of a step to those that the rate belongs
    to. Returned are the factor and how it follows.
    """
    if optimizer.startswith(('SGD', 'ASGD', 'LARS')):
        return ratio, 'in proportion'
    return ratio**0.5, (
        f'by the square root, as {optimizer} divides gradients by their size'
    )
