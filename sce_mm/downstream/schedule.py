"""Scale the learning rate of a config to the batch that there will be."""

import ast
import re
from pathlib import Path

from mmengine.config import Config

from ..config.machine import rate_factor
from ..config.parts import type_name
from ..config.reading import inherited_configs, walk
from ..utils.text import counted
from .edits import AdaptError, ConfigEdits

OPTIMIZER = 'optim_wrapper.optimizer'
RATE = f'{OPTIMIZER}.lr'


def adapt_schedule(
    edits: ConfigEdits,
    processes: int,
    batch: int | None,
    base_batch: int | None = None,
) -> str:
    """Scale the rate by the law of its optimiser; warm-up, milestones stay.

    Args:
        edits: The config.
        processes: Processes of the training, usually GPUs.
        batch: Images of each; None for those of the config.
        base_batch: Batch that the rate of the config is for, see
            :func:`batch_of_names`; None for that of its ``auto_scale_lr``.

    Returns:
        A line about batch and rate.

    Raises:
        AdaptError: The config does not say what batch its rate belongs to.
    """
    if batch is not None:
        edits.set('train_dataloader.batch_size', batch, 'as asked for')
    batch = edits.get('train_dataloader.batch_size')
    if not isinstance(batch, int):
        raise AdaptError(
            'the config has no train_dataloader.batch_size: say --batch'
        )
    rate = edits.get(RATE)
    said = edits.get('auto_scale_lr.base_batch_size')
    base = base_batch or said
    if not isinstance(rate, int | float):
        raise AdaptError(
            f'the config has no {RATE}: a rate for each of several '
            'optimisers cannot be scaled here'
        )
    if base is None:
        raise AdaptError(
            f'the config does not say for what batch its learning rate '
            f'{rate} is: add to it auto_scale_lr = dict(base_batch_size=16), '
            'with the images of all GPUs together in the place of 16'
        )
    if said and said != base:
        edits.notes.append(
            f'the rate {rate} is taken to be for a batch of {base}, as the '
            f'name of its config says, though auto_scale_lr has {said}'
        )
    steps = edits.get('optim_wrapper.accumulative_counts') or 1
    total = processes * batch * steps
    optimizer = type_name(edits.get(OPTIMIZER))
    scale, law = rate_factor(total / base, optimizer)
    line = f'{counted(processes, "process", "processes")} x '
    line += counted(batch, 'image')
    line += f' x {steps} accumulated' if steps > 1 else ''
    if scale != 1:
        reason = (
            f'for a batch of {total} ({line}): {rate} is for {base}, scaled '
            f'{law}'
        )
        _scale(edits, RATE, scale, reason)
        _scale_bounds(edits, scale)
    if scale != 1 or (said and said != base):
        edits.set(
            'auto_scale_lr',
            {'enable': False, 'base_batch_size': total},
            f'the rate is now for a batch of {total}: not to be scaled again',
        )
    elif steps > 1 and edits.get('auto_scale_lr.enable'):
        edits.set(
            'auto_scale_lr.enable',
            False,
            f'the rate is for a batch of {total} ({line}), and mmengine '
            'counts no accumulation when it scales',
        )
    iterations = edits.get('train_cfg.max_iters')
    if iterations and total != base:
        edits.notes.append(
            f'{iterations} iterations of {total} images see '
            f'{total / base:.3g} times the images of the config: as many '
            f'would be {round(iterations * base / total)} iterations, with '
            'param_scheduler, val_interval and checkpoints in proportion'
        )
    _check_groups(edits)
    return f'learning rate {edits.get(RATE)} for {line}'


def batch_of_names(config: str, cfg: Config) -> int | None:
    """Batch of the rate of a config, by its name or those that it inherits.

    A file that sets ``base_batch_size`` itself knows better. One that inherits
    it may not: mmdet's RTMDets were trained in batches of 256, as their names
    say, and inherit the 16 of a schedule that is not theirs. A rate that is
    inherited is for the batch of the file that it comes from, whatever the
    own name says.

    Args:
        config: Path of the config, or ``package::name``.
        cfg: What it says.

    Returns:
        The batch in the name of the config that sets the rate, or in its own
        if no other says one; None if there is none.
    """
    path = Path(config)
    if '::' in config or not path.is_file() or Config._is_lazy_import(config):
        return batch_in_name(config)
    if _sets_batch(path):
        return None
    rate = ConfigEdits(cfg).get(RATE)
    for inherited in inherited_configs(config):
        other = Config.fromfile(inherited)
        edits = ConfigEdits(other)
        if edits.get(RATE) == rate:
            batch = batch_of_names(inherited, other)
            said = edits.get('auto_scale_lr.base_batch_size')
            return batch or (None if said else batch_in_name(config))
    return batch_in_name(config)


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


def batch_in_name(config: str) -> int | None:
    """Batch in the name of a config, which OpenMMLab writes as ``4xb2``.

    >>> batch_in_name('mmseg::fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py')
    8
    >>> batch_in_name('my_fcn.py')
    """
    match = re.search(r'_(\d+)xb(\d+)[-_]', Path(config).name)
    return int(match[1]) * int(match[2]) if match else None


def _scale(edits: ConfigEdits, path: str, scale: float, reason: str) -> None:
    # Ten digits: 0.02 * 12 / 16 is not quite 0.015.
    edits.set(path, float(f'{edits.get(path) * scale:.10g}'), reason)


def _scale_bounds(edits: ConfigEdits, scale: float) -> None:
    """Scale the rates of a schedule that are absolute."""
    schedulers = edits.get('param_scheduler')
    for path, value in list(walk(schedulers, 'param_scheduler')):
        if path.endswith(('.eta_min', '.eta_max')) and value:
            _scale(edits, path, scale, 'scaled like the rate that it bounds')


def _check_groups(edits: ConfigEdits) -> None:
    groups = edits.get('optim_wrapper.paramwise_cfg.custom_keys') or {}
    for name, options in groups.items():
        if 'backbone' in name and options.get('lr_mult') == 0:
            raise AdaptError(
                f'optim_wrapper.paramwise_cfg gives {name} a learning rate '
                'of zero: such weights have to be trained; take it out'
            )
