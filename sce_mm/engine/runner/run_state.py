"""Run state in a checkpoint: random generators and layout of the run.

mmengine stores weights, optimiser, schedulers, logs, epoch and iteration.
Added under ``run_state`` are the random generators of every process and the
layout of the run, from which the position in the data follows.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from mmengine.dist import all_gather_object, get_rank
from mmengine.runner import Runner

from ...checkpoints.errors import CheckpointError
from ...checkpoints.state_dicts import state_dict_of
from ...utils.random_state import get_random_state, set_random_state
from ..schedulers.schedules import accumulation

RUN_STATE = 'run_state'


class Layout(NamedTuple):
    """How a run is cut into iterations."""

    processes: int
    batch_size: int | None  # Images of an iteration and process.
    accumulation: int  # Iterations of an optimiser step.
    images: int
    epoch_length: int  # Iterations.
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
    """State of a run for its checkpoint; every process has to call this."""
    return {
        'random': all_gather_object(get_random_state()),
        'layout': dict(layout_of(runner)._asdict()),
        'extends': extends,
    }


def require_resumable(checkpoint: Mapping[str, Any], name: str) -> None:
    """Refuse a checkpoint that holds weights alone and no run."""
    keys = ('state_dict', 'optimizer', 'message_hub')
    lacking = [key for key in keys if key not in checkpoint]
    meta = checkpoint.get('meta') or ()
    lacking += [f'meta.{key}' for key in ('epoch', 'iter') if key not in meta]
    if lacking:
        # Says so if there are no weights either.
        state_dict_of(checkpoint)
        raise CheckpointError(
            f'{name} holds weights but no run to go on with (it lacks '
            f'{", ".join(lacking)}), as exported, published and '
            'downloaded files do. To begin a new run from these weights: '
            f'--init-from {name}'
        )


def restore_random_state(checkpoint: Mapping[str, Any]) -> None:
    """Set the generators of this process, if it had any in that run."""
    states = checkpoint.get(RUN_STATE, {}).get('random', [])
    if get_rank() < len(states):
        set_random_state(states[get_rank()])
