"""What a checkpoint must hold besides weights so that a run goes on exactly.

mmengine stores weights, optimiser, schedulers, logs, epoch and iteration.
Added under ``run_state`` are the random generators of every process and the
layout of the run, from which the position in the data follows.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from mmengine.dist import (
    all_gather_object,
    broadcast_object_list,
    get_rank,
    is_main_process,
)
from mmengine.runner import EpochBasedTrainLoop, Runner

from ..transfer.errors import CheckpointError
from .loops import ResumableTrainLoop
from .random_state import get_random_state, set_random_state
from .steps import accumulation
from .warmup_cosine import WarmupCosineLR

KEY = 'run_state'
T = TypeVar('T')


class Layout(NamedTuple):
    """How a run is cut into iterations.

    Attributes:
        processes: Number of processes.
        batch_size: Images of an iteration and process.
        accumulation: Iterations of an optimiser step.
        images: Of the data set.
        epoch_length: Iterations of an epoch.
        max_epochs: Length of the run.
    """

    processes: int
    batch_size: int | None
    accumulation: int
    images: int
    epoch_length: int
    max_epochs: int


def layout_of(runner: Runner) -> Layout:
    """Layout of a runner whose training loop is built."""
    loader = runner.train_dataloader
    return Layout(
        processes=runner.world_size,
        batch_size=getattr(loader.batch_sampler, 'batch_size', None),
        accumulation=accumulation(runner),
        images=len(loader.dataset),
        epoch_length=len(loader),
        max_epochs=runner.max_epochs,
    )


def collect_run_state(runner: Runner, extends: int | None) -> dict[str, Any]:
    """State of a run for its checkpoint; every process has to call this.

    Args:
        runner: Between two optimiser steps.
        extends: Epochs of the finished run that this one goes on from.
    """
    return {
        'random': all_gather_object(get_random_state()),
        'layout': dict(layout_of(runner)._asdict()),
        'extends': extends,
    }


def require_resumable(checkpoint: Mapping[str, Any], name: str) -> None:
    """See that a checkpoint holds a run and not weights alone.

    Raises:
        CheckpointError: It does not.
    """
    meta = checkpoint.get('meta')
    meta = meta if isinstance(meta, Mapping) else {}
    lacking = [
        key
        for key in ('state_dict', 'optimizer', 'message_hub')
        if key not in checkpoint
    ]
    lacking += [f'meta.{key}' for key in ('epoch', 'iter') if key not in meta]
    if lacking:
        raise CheckpointError(
            f'{name} holds weights but no run to go on with (it lacks '
            f'{", ".join(lacking)}), as exported, published and downloaded '
            f'files do. To begin a new run from these weights: --init-from '
            f'{name}'
        )


def adopt_run_state(
    runner: Runner, checkpoint: dict[str, Any], extends: int | None
) -> list[str]:
    """Fit a checkpoint to this run before mmengine reads it.

    With another number of processes, batch size or data set, the iteration is
    replaced by the one at the same share of the epoch.

    Args:
        runner: About to resume.
        checkpoint: What was read; its position may be changed.
        extends: Epochs of the finished run that this one goes on from.

    Returns:
        What cannot be identical to an uninterrupted run, in words.

    Raises:
        ValueError: The checkpoint is one of a run of another length, or
            lies within an epoch and this loop cannot begin there.
    """
    _take_over_seed(runner, checkpoint['meta'].get('seed'))
    state = checkpoint.get(KEY)
    if state is None:
        return [
            'the checkpoint was written without DurableCheckpointHook: random '
            'generators are not restored, and on another number of processes '
            'or batch size the position in the data is not known'
        ]
    new = layout_of(runner)
    old = Layout(**state['layout'])
    if old.max_epochs not in (new.max_epochs, extends):
        raise ValueError(
            f'the checkpoint is of a run of {old.max_epochs} epochs, and this '
            f'one has {new.max_epochs}; the schedules depend on that. To '
            f'finish the run: --cfg-options train_cfg.max_epochs='
            f'{old.max_epochs}; to go on for more epochs when it is finished: '
            '--continue-for EPOCHS; to begin a new one from its weights: '
            '--init-from'
        )
    notes = []
    changes = [
        f'{name.replace("_", " ")} {getattr(old, name)} -> {value}'
        for name, value in new._asdict().items()
        if name not in ('max_epochs', 'epoch_length')
        and value != getattr(old, name)
    ]
    if changes:
        notes.append(_moved(runner, checkpoint, old, new, changes))
    meta = checkpoint['meta']
    within = meta['iter'] - meta['epoch'] * new.epoch_length
    loop = runner.train_loop
    if (
        within
        and isinstance(loop, EpochBasedTrainLoop)
        and not isinstance(loop, ResumableTrainLoop)
    ):
        raise ValueError(
            f'the checkpoint lies within an epoch (iteration {within} of '
            f'{new.epoch_length}), where {type(loop).__name__} cannot begin: '
            "write train_cfg = dict(type='ResumableTrainLoop', "
            f'max_epochs={new.max_epochs}), or resume from the end of an epoch'
        )
    return notes


def _take_over_seed(runner: Runner, seed: int | None) -> None:
    """Give the sampler the seed of that run; mmengine gives it to the rest.

    Only if it had the seed of this run and none of its own.
    """
    sampler = runner.train_dataloader.sampler
    if seed is not None and getattr(sampler, 'seed', None) == runner.seed:
        sampler.seed = seed


def _moved(
    runner: Runner,
    checkpoint: dict[str, Any],
    old: Layout,
    new: Layout,
    changes: list[str],
) -> str:
    """Move to the same share of the epoch; say what that means."""
    meta = checkpoint['meta']
    epoch = meta['epoch']
    if isinstance(runner.train_loop, EpochBasedTrainLoop):
        share = (meta['iter'] - epoch * old.epoch_length) / old.epoch_length
        target = (epoch + share) * new.epoch_length
        meta['iter'] = min(
            math.ceil(round(target, 6) / new.accumulation) * new.accumulation,
            runner.max_iters,
        )
        meta['epoch'] = min(
            max(epoch, meta['iter'] // new.epoch_length), new.max_epochs
        )
        _move_schedulers(runner, checkpoint, meta['iter'])
    return (
        f'the run changed ({", ".join(changes)}) and goes on at epoch '
        f'{meta["epoch"]}, iteration {meta["iter"]}. It cannot be identical '
        'to an uninterrupted one: which images share a batch, batch norm '
        'statistics, the number of optimiser steps and, with more or fewer '
        'processes, the random generators. The learning rate stays that of '
        'the checkpoint'
    )


def _move_schedulers(
    runner: Runner, checkpoint: dict[str, Any], iteration: int
) -> None:
    for scheduler, state in zip(
        runner.param_schedulers or [],
        checkpoint.get('param_schedulers', []),
        strict=False,
    ):
        if not scheduler.by_epoch:
            state['last_step'] = iteration
            state['_global_step'] = iteration + 1


def restore_random_state(checkpoint: Mapping[str, Any]) -> None:
    """Set the generators of this process, if it had any in that run."""
    states = checkpoint.get(KEY, {}).get('random', [])
    if get_rank() < len(states):
        set_random_state(states[get_rank()])


def enter_longer_schedules(runner: Runner) -> str:
    """Set the rate that the schedules of an extended run have here.

    Returns:
        What happened to the learning rate.

    Raises:
        ValueError: A schedule follows from its previous value and so cannot
            be entered in the middle.
    """
    before = runner.optim_wrapper.get_lr()['lr'][0]
    for scheduler in runner.param_schedulers or []:
        if not isinstance(scheduler, WarmupCosineLR):
            raise ValueError(
                f'--continue-for: {type(scheduler).__name__} computes each '
                'value from the previous one and cannot be extended. Use '
                'WarmupCosineLR, or begin a new run with --init-from'
            )
        scheduler.enter()
    after = runner.optim_wrapper.get_lr()['lr'][0]
    return (
        f'going on for a run of {runner.max_epochs} epochs at epoch '
        f'{runner.epoch}: all schedules are now those of the longer run, '
        f'entered here. Learning rate {before:.3g} -> {after:.3g}'
    )


def decide_on_main(function: Callable[[], T]) -> T:
    """Result of a function that only the main process calls.

    Its errors are raised on every process, so that none waits for another.
    """
    outcome: list[Any] = [None, None]
    if is_main_process():
        try:
            outcome = [function(), None]
        except (OSError, ValueError) as error:
            outcome = [None, error]
    broadcast_object_list(outcome)
    result, failure = outcome
    if failure is not None:
        raise failure
    return result
