"""What ``--epochs`` and ``--batch-size`` change in a config, and what follows.

Values that ``--cfg-options`` gives as well stay as they are given.
"""

import argparse
import math
from collections.abc import Collection, Sequence
from typing import Any

from mmengine.config import Config

from ..config.counts import queues, step_images
from ..config.epochs import auto_epochs, count_samples
from ..config.reading import as_option_key
from ..config.values import too_long
from ..downstream import ConfigEdits
from ..downstream.training_length import Scale, set_training_length
from ..utils.errors import UserError
from .config_edits import overridden, refuse_both
from .learning_rate import RATE, enable_lr_scaling, names_base_batch
from .training_images import SMALLER

# Steps whose keys a queue holds at least, as in the paper.
_STEPS = 8
MAX_EPOCHS = 'train_cfg.max_epochs'


def apply_epochs(cfg: Config, args: argparse.Namespace) -> list[str]:
    """Write ``--epochs`` of a command line into a config.

    Returns:
        A sentence for each on what ``auto`` stands for, and on what was
        changed.

    Raises:
        UserError: The config has nothing of the kind, or the command line
            says the same twice.
    """
    epochs, said = args.epochs, list[str]()
    if not epochs:
        return said
    if args.continue_for:
        raise UserError(
            '--epochs is for a new run; --continue-for says by how many '
            'epochs a finished one becomes longer'
        )
    if epochs == 'auto':
        samples = count_samples(cfg)
        epochs = auto_epochs(cfg, samples)
        said.append(
            f'--epochs auto: {epochs}, of {samples} samples in steps of '
            f'{step_images(cfg)}'
        )
    return [*said, set_epochs(cfg, epochs, args.cfg_options)]


def typed_keys(args: argparse.Namespace) -> dict[str, str]:
    """Keys of the config that options have set, and these options."""
    options = {
        'train_dataloader.batch_size': ('--batch-size', args.batch_size),
        'train_cfg.max_epochs': ('--epochs', args.epochs),
        'work_dir': ('--work-dir', args.work_dir is not None),
    }
    return {key: option for key, (option, given) in options.items() if given}


def smaller_batch(cfg: Config, args: argparse.Namespace) -> str:
    """Words that set another batch, for a message; see ``SMALLER``."""
    typed = 'train_dataloader.batch_size' in overridden(args.cfg_options)
    if typed or not names_base_batch(cfg):
        return SMALLER
    return '--batch-size {batch}'


def set_epochs(cfg: Config, epochs: int, words: Sequence[str] = ()) -> str:
    """Train for so many epochs, and let all that goes by epochs follow.

    A warm-up, milestones and ends of schedules, phases of hooks and the
    intervals of checkpoints and evaluations keep their share of the training.
    A warm-up that is counted in iterations becomes no longer. The same key in
    ``--cfg-options`` changes the number alone, and shortens a warm-up that
    would not fit.

    Args:
        cfg: Config, which is changed.
        epochs: Number of them.
        words: ``KEY=VALUE`` words that were given besides.

    Returns:
        What was changed.

    Raises:
        UserError: The training is not counted in epochs, or ``words`` give
            their number too.
    """
    refuse_both('--epochs', MAX_EPOCHS, words)
    edits = edits_for_epochs(cfg, epochs, '--epochs')
    return f'--epochs {epochs}: {write(cfg, edits, overridden(words))}'


def edits_for_epochs(cfg: Config, epochs: int, option: str) -> ConfigEdits:
    """Edits that let a config train so long; see :func:`set_epochs`.

    Raises:
        UserError: The training is not counted in epochs; the message names
            the option.
    """
    loop: Any = cfg.get('train_cfg') or {}
    before = loop.get('max_epochs')
    if type(before) is not int or before < 1:
        raise UserError(
            f'{option} is for a config with {MAX_EPOCHS}, this one has '
            f'train_cfg={dict(loop)}: change that by --cfg-options'
        )
    factor = epochs / before
    edits = ConfigEdits(cfg)
    scales = {
        'epochs': Scale(factor, factor),
        'iterations': Scale(min(1, factor), factor),
    }
    set_training_length(edits, MAX_EPOCHS, epochs, scales)
    path = 'param_scheduler.warmup_epochs'
    if warmup := edits.get(path):
        # Without what the product adds at the sixteenth place.
        edits.set(path, float(f'{warmup * factor:.10g}'), option)
    return edits


def set_batch_size(
    cfg: Config,
    batch: int,
    words: Sequence[str] = (),
    resumes: bool = False,
) -> str:
    """Take so many images at a time, and let the learning rate follow.

    It is scaled to the images of a step as by ``--auto-scale-lr``, when the
    number of processes is known. The queues follow by :func:`fit_queues`.

    Args:
        cfg: Config, which is changed.
        batch: Images of each process.
        words: ``KEY=VALUE`` words that were given besides.
        resumes: Whether the run may go on from a checkpoint, with its rate.

    Returns:
        What was changed.

    Raises:
        UserError: The config has no training data, does not say which batch
            its learning rate belongs to, or ``words`` give the batch too.
    """
    key = 'train_dataloader.batch_size'
    refuse_both('--batch-size', key, words)
    given = overridden(words)
    if not isinstance(cfg.get('train_dataloader'), dict):
        raise UserError('--batch-size: the config has no train_dataloader')
    edits = ConfigEdits(cfg)
    edits.set(key, batch, '--batch-size')
    if RATE in given:
        rate = f'{RATE} is as given'
    elif not names_base_batch(cfg):
        raise UserError(
            '--batch-size: the config does not say which batch its learning '
            'rate belongs to: add auto_scale_lr = dict(base_batch_size=...) '
            f'to it, or give the rate by --cfg-options {RATE}='
        )
    else:
        rate = 'the learning rate follows, as by --auto-scale-lr'
        if resumes:
            rate += ', but a run that goes on keeps that of its checkpoint'
    changed = write(cfg, edits, given)
    if RATE not in given:
        enable_lr_scaling(cfg)
    return f'--batch-size {batch}: {changed}; {rate}'


def fit_queues(
    cfg: Config, batch: int, words: Sequence[str] = ()
) -> list[str]:
    """Let the queues of a config follow the batch that it was given.

    A queue keeps its length, but holds eight steps of keys or more and no
    part of a step. It grows to no more keys than an epoch has samples, of
    which it would hold several keys each, unless one step has more.

    Args:
        cfg: Config with the batch and its images, which is changed.
        batch: Images of each process, for messages.
        words: ``KEY=VALUE`` words that were given besides.

    Returns:
        A sentence on what was changed, if the config has a queue.

    Raises:
        UserError: No memory holds so many keys.
    """
    given = overridden(words)
    edits = ConfigEdits(cfg)
    held = []
    for option, length, factors in queues(edits.cfg):
        keys = math.prod(factors.values())
        if option not in given:
            steps = math.ceil(length / keys)
            if steps < _STEPS:
                most = _samples(cfg) * factors.get('places', 1) // keys
                steps = max(steps, int(min(_STEPS, most)))
            length = steps * keys
            if problem := too_long(length):
                raise UserError(f'--batch-size {batch}: {problem}')
            edits.set(option, length, '--batch-size')
        count = f'{length / keys:g} step{"s" * (length != keys)}'
        held.append(f'{option}={length} is {count} of keys')
    if not held:
        return []
    changed = f'--batch-size {batch}: {write(cfg, edits, given)}'
    return ['; '.join([changed, *held])]


def _samples(cfg: Config) -> float:
    """Samples of an epoch; infinity if the images are not there."""
    try:
        return count_samples(cfg)
    except UserError:
        # The training says it in other words.
        return math.inf


def write(cfg: Config, edits: ConfigEdits, given: Collection[str]) -> str:
    """Write edits into a config, but those of keys that were given.

    Returns:
        What was changed, for the user.
    """
    shown = []
    for change in edits.changes:
        key = as_option_key(change.path)
        if key in given:
            continue
        cfg.merge_from_dict({key: change.new})
        old = '' if change.old is None else f'{_short(change.old)} -> '
        shown.append(f'{change.path} {old}{_short(change.new)}')
    return ', '.join(shown) or 'as in the config'


def _short(value: object) -> str:
    return f'{value:.4g}' if isinstance(value, float) else str(value)
