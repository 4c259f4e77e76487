"""Try a config out (``--dry-run``): train, evaluate, save, resume, plan."""

import copy
import tempfile
from collections.abc import Sized
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ..analysis.step_timer import SECONDS, StepTimer, hours_text
from ..datasets.samplers import count_images
from ..engine.schedulers.schedules import (
    accumulation,
    steps_per_epoch,
    total_steps,
)
from ..engine.schedulers.warmup_cosine import WarmupCosineLR
from ..utils.distributed import unwrapped
from .config_edits import without_evaluation
from .runner import build_runner, require_batches, scale_learning_rate

_STEPS = 2


class _EnoughError(Exception):
    """The steps that were asked for are done."""


class _StopHook(Hook):
    """Ends the training after so many iterations, or when they are timed."""

    priority = 'LOWEST'

    def __init__(self, iterations: int = 0, seconds: float = 0) -> None:
        self.iterations = iterations
        self.timer = StepTimer(seconds)
        self.begun = -1

    def before_train(self, runner: Runner) -> None:
        self.begun = runner.iter

    def before_train_epoch(self, runner: Runner) -> None:
        self.timer.start()

    def after_train_iter(
        self, runner: Runner, *rest: Any, **more: Any
    ) -> None:
        done = runner.iter + 1 - self.begun
        if done == self.iterations or (
            not self.iterations and self.timer.lap()
        ):
            raise _EnoughError


def dry_run(
    cfg: Config,
    source: str = 'train_dataloader.dataset',
    seconds: float = SECONDS,
) -> str:
    """Train two optimiser steps in a scratch folder, resume and time steps.

    Returned is the plan of the whole training, in lines. The config is not
    changed. ``seconds`` says how long steps are timed.

    Raises:
        ValueError: Whatever would have stopped the training at its start.
    """
    with tempfile.TemporaryDirectory() as scratch:
        first = copy.deepcopy(cfg)
        counts = cfg.optim_wrapper.get('accumulative_counts', 1)
        first.default_hooks.checkpoint.update(by_epoch=False, interval=counts)
        runner = _run(first, scratch, source, _StopHook(_STEPS * counts))
        # Neither evaluations nor checkpoints are part of a step.
        second = copy.deepcopy(cfg)
        without_evaluation(second)
        second.default_hooks.checkpoint.update(
            by_epoch=False, interval=-1, save_last=False
        )
        clock = _StopHook(seconds=seconds)
        _run(second, scratch, source, clock, resume=True)
        done = min(_STEPS * accumulation(runner), runner.max_iters)
        if clock.begun != done:
            raise ValueError(
                f'the resumed run began at iteration {clock.begun}, expected '
                f'{done}'
            )
        return plan_text(runner, clock.timer)


def _run(
    cfg: Config, scratch: str, source: str, hook: Hook, resume: bool = False
) -> Runner:
    """Train in the scratch folder until the hook ends it."""
    cfg.work_dir = scratch
    cfg.default_hooks.checkpoint.pop('out_dir', None)
    cfg.experiment_name = f'dry_run_{Path(scratch).name}_{resume}'
    if resume or cfg.get('resume'):
        cfg.load_from = None
    cfg.resume = resume
    runner = build_runner(cfg)
    require_batches(runner, source)
    scale_learning_rate(runner)
    runner.register_hook(hook)
    with suppress(_EnoughError):
        runner.train()
    return runner


def plan_text(runner: Runner, timer: StepTimer) -> str:
    """Lines that say what a run is going to do, of one that was begun."""
    loader, parameters = runner.train_dataloader, [*runner.model.parameters()]
    batch, accumulated = loader.batch_sampler.batch_size, accumulation(runner)
    step, steps = batch * runner.world_size * accumulated, total_steps(runner)
    trained = sum(p.numel() for p in parameters if p.requires_grad)
    total = sum(p.numel() for p in parameters)
    queue, dense_queue = (
        getattr(unwrapped(runner.model), name, None)
        for name in ('queue', 'dense_queue')
    )
    memory = 'no GPU here: sce estimate estimates it'
    if torch.cuda.is_available():
        peak = torch.cuda.max_memory_allocated() / 2**30
        memory = f'{peak:.1f} GiB at most'
    lines = {
        'images': _images(loader.dataset),
        'step': f'{step} images ({batch} x {runner.world_size} process(es) x '
        f'{accumulated} accumulated)',
        'steps': f'{steps}: {runner.max_epochs} epochs of '
        f'{steps_per_epoch(runner):g}',
        'learning rate': _rates(runner, steps),
        'queue': f'{queue.length} keys, the last {queue.length / step:.3g} x '
        'images'
        if queue
        else 'none',
        **(
            {'dense queue': f'{dense_queue.length} keys of places'}
            if dense_queue
            else {}
        ),
        'parameters': f'{trained / 1e6:.3g} million trained, '
        f'{total / 1e6:.3g} in all',
        'memory': memory,
        'time': f'{hours_text(timer.median * runner.max_iters / 3600)} hours, '
        f'from {timer.median:.2g} s an iteration, the median of '
        f'{timer.steps}, without evaluation'
        if timer.steps
        else 'too few steps to time them',
    }
    return 'dry run: all parts work. The plan:' + ''.join(
        f'\n  {name:13} {text}' for name, text in lines.items()
    )


def _images(dataset: Sized) -> str:
    images, samples = count_images(dataset), len(dataset)
    if images == samples:
        return f'{images}'
    return f'{images}, each {samples // images} times: {samples} samples'


def _rates(runner: Runner, steps: int) -> str:
    for scheduler in runner.param_schedulers or []:
        if isinstance(scheduler, WarmupCosineLR):
            base = scheduler.base_values[0]
            rates = [base * scheduler.share(t) for t in range(steps)]
            peak = max(rates)
            return (
                f'{rates[0]:.3g} at the start, {peak:.3g} at step '
                f'{rates.index(peak)}, {rates[-1]:.3g} at the end'
            )
    return f'{runner.optim_wrapper.get_lr()["lr"][0]:.3g} now'
