"""Fit a checkpoint to the run that resumes from it.

The run may have another number of processes, another batch size or data set,
or be a longer one; what cannot go on is refused.
"""

import math
from typing import Any

from mmengine.runner import EpochBasedTrainLoop, Runner

from ...checkpoints.errors import CheckpointError
from ...checkpoints.state_dicts import shape_mismatches
from ...models.utils.memory_queue import QUEUES
from ...utils.distributed import unwrapped
from ...utils.errors import UserError
from ...utils.text import counted
from ..schedulers.warmup_cosine import WarmupCosineLR
from .loops import ResumableTrainLoop
from .run_state import RUN_STATE, Layout, layout_of

# What a schedule saves of where it is and of the rates that it began from.
_POSITION = {'last_step', '_global_step', 'base_values', '_last_value'}


def require_same_model(runner: Runner, checkpoint: dict[str, Any]) -> None:
    """Refuse to resume with tensors missing, left over or of another shape.

    Queues may be of another length.
    """
    ours = unwrapped(runner.model).state_dict()
    theirs = dict(checkpoint['state_dict'])
    if ours.keys() == theirs.keys():
        for name in [n for n in ours if n.partition('.')[0] in QUEUES]:
            del ours[name], theirs[name]
    if difference := shape_mismatches(ours, theirs):
        raise CheckpointError(
            'the checkpoint is of another model than this config builds, so '
            f'that the run cannot go on:\n{difference}'
        )


def adopt_run_state(
    runner: Runner, checkpoint: dict[str, Any], extends: int | None
) -> str | None:
    """Fit a checkpoint to this run before mmengine reads it.

    With another number of processes, batch size, data set or anything else
    that changes the length of an epoch, the iteration is replaced by the one
    at the same share of the epoch.

    Args:
        runner: About to resume.
        checkpoint: Content of the checkpoint; its position may be changed.
        extends: Epochs of the finished run that this one goes on from.

    Returns:
        What cannot be identical to an uninterrupted run, if anything.
    """
    meta = checkpoint['meta']
    # mmengine takes over the seed of that run, but not for a sampler that
    # had the seed of this run and none of its own.
    seed = meta.get('seed')
    sampler = runner.train_dataloader.sampler
    if seed is not None and getattr(sampler, 'seed', None) == runner.seed:
        sampler.seed = seed
    state = checkpoint.get(RUN_STATE)
    if state is None:
        return (
            'the checkpoint was written without DurableCheckpointHook: random '
            'generators are not restored, and on another number of processes '
            'or batch size the position in the data is not known'
        )
    new = layout_of(runner)
    old = Layout(**state['layout'])
    if old.max_epochs not in (new.max_epochs, extends):
        raise UserError(
            'the checkpoint is of a run of '
            f'{counted(old.max_epochs, "epoch")}, and this one has '
            f'{new.max_epochs}; the schedules depend on that. To finish the '
            'run: the same --epochs, or --cfg-options '
            f'train_cfg.max_epochs={old.max_epochs}; to go on for more epochs '
            'when it is finished: --continue-for EPOCHS; to begin a new one '
            'from its weights: --init-from'
        )
    changes = [
        f'{name.replace("_", " ")} {getattr(old, name)} -> {value}'
        for name, value in new._asdict().items()
        if name != 'max_epochs' and value != getattr(old, name)
    ]
    if changes:
        _move_position(runner, checkpoint, old, new)
    within = meta['iter'] - meta['epoch'] * new.epoch_length
    loop = runner.train_loop
    if (
        within
        and isinstance(loop, EpochBasedTrainLoop)
        and not isinstance(loop, ResumableTrainLoop)
    ):
        raise UserError(
            f'the checkpoint lies within an epoch (iteration {within} of '
            f'{new.epoch_length}), where {type(loop).__name__} cannot begin: '
            "write train_cfg = dict(type='ResumableTrainLoop', "
            f'max_epochs={new.max_epochs}), or resume from the end of an epoch'
        )
    rate = _kept_rate(runner, checkpoint)
    if not changes:
        return rate or None
    return (
        f'the run changed ({", ".join(changes)}) and goes on at epoch '
        f'{meta["epoch"]}, iteration {meta["iter"]}. It cannot be identical '
        'to an uninterrupted one: which images share a batch, batch norm '
        'statistics, the number of optimiser steps and, with more or fewer '
        'processes, the random generators. '
        + (rate or 'The learning rate stays that of the checkpoint')
    )


def _kept_rate(runner: Runner, checkpoint: dict[str, Any]) -> str:
    """Says which learning rate this run does not take; empty if it does."""
    states = checkpoint.get('optimizer'), runner.optim_wrapper.state_dict()
    # Several optimisers have a state each.
    groups = [(state or {}).get('param_groups') or [] for state in states]
    if not all(groups):
        return ''
    old, new = (group[0].get('initial_lr', group[0]['lr']) for group in groups)
    if math.isclose(old, new, rel_tol=1e-6):
        return ''
    return (
        f'The learning rate stays that of the checkpoint, {old:g} before its '
        f'schedule; the {new:g} that this run asks for is not taken'
    )


def _move_position(
    runner: Runner, checkpoint: dict[str, Any], old: Layout, new: Layout
) -> None:
    """Move the iteration to the same share of the epoch."""
    if not isinstance(runner.train_loop, EpochBasedTrainLoop):
        return
    meta = checkpoint['meta']
    epoch = meta['epoch']
    share = (meta['iter'] - epoch * old.epoch_length) / old.epoch_length
    target = round((epoch + share) * new.epoch_length, 6)
    steps = math.ceil(target / new.accumulation)
    meta['iter'] = min(steps * new.accumulation, runner.max_iters)
    meta['epoch'] = min(
        max(epoch, meta['iter'] // new.epoch_length), new.max_epochs
    )
    states = checkpoint.get('param_schedulers', [])
    for scheduler, state in zip(
        runner.param_schedulers or [], states, strict=False
    ):
        if scheduler.by_epoch:
            continue
        # Those of mmengine save their length too, which is in iterations.
        now = scheduler.state_dict().items()
        state |= {key: v for key, v in now if key not in _POSITION}
        state['_global_step'] = meta['iter']
        # They count from where they begin, to where they end.
        within = min(meta['iter'], scheduler.end - 1) - scheduler.begin
        state['last_step'] = max(-1, within)


def extend_schedules(runner: Runner) -> str:
    """Set the rate that an extended run has here; say what it was before."""
    before = runner.optim_wrapper.get_lr()['lr'][0]
    for scheduler in runner.param_schedulers or []:
        if not isinstance(scheduler, WarmupCosineLR):
            raise UserError(
                f'--continue-for: {type(scheduler).__name__} computes each '
                'value from the previous one and cannot be extended. Use '
                'WarmupCosineLR, or begin a new run with --init-from'
            )
        scheduler.jump_to(scheduler.last_step)
    after = runner.optim_wrapper.get_lr()['lr'][0]
    return (
        f'going on for a run of {runner.max_epochs} epochs at epoch '
        f'{runner.epoch}: all schedules are now those of the longer run, '
        f'entered here. Learning rate {before:.3g} -> {after:.3g}'
    )
