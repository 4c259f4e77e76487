"""Try a config out (``--dry-run``): train, evaluate, save, resume, plan."""

import copy
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sized
from contextlib import contextmanager, suppress
from math import prod
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import init_dist, is_distributed
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ..analysis.probe import peak_bytes
from ..analysis.step_timer import SECONDS, StepTimer, time_text
from ..config.parts import view_sizes, view_transforms
from ..datasets.samplers import count_images
from ..engine.runner.cpu_ddp import use_gloo
from ..engine.schedulers.schedules import (
    accumulation,
    steps_per_epoch,
    total_steps,
)
from ..engine.schedulers.warmup_cosine import WarmupCosineLR
from ..models.utils.memory_queue import QUEUES
from ..utils.distributed import decide_on_main, unwrapped
from ..utils.errors import UserError
from ..utils.processes import is_first_process
from ..utils.text import counted
from .config_edits import without_evaluation
from .console import no_output
from .exit import end_at_signals
from .learning_rate import scale_learning_rate
from .runner import build_runner, spare_classes
from .training_images import SMALLER, require_batches

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
        # PreemptionHook listens by now, and there is nothing to save.
        end_at_signals()

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
    smaller: str = SMALLER,
    seconds: float = SECONDS,
) -> str:
    """Train two optimiser steps in a scratch folder, resume and time steps.

    Returned is the plan of the whole training, in five lines, and notes on
    what a detector has to no purpose. Nothing else is said on standard
    output. The config is not changed. ``source`` and ``smaller`` are words
    for messages, see :func:`~.training_images.require_batches`; ``seconds``
    says how long steps are timed.

    Raises:
        UserError: Whatever would have stopped the training at its start.
    """
    end_at_signals()
    if not cfg.default_hooks.get('checkpoint'):
        raise UserError(
            '--dry-run resumes from a checkpoint, and the config writes none '
            '(default_hooks.checkpoint=None): leave that out of the dry run'
        )
    note = (
        'dry run: two steps, a checkpoint and a resume in a scratch folder, '
        f'then steps for {seconds:.0f} s'
    )
    with scratch_folder(cfg) as scratch, no_output():
        first = copy.deepcopy(cfg)
        counts = cfg.optim_wrapper.get('accumulative_counts', 1)
        first.default_hooks.checkpoint.update(by_epoch=False, interval=counts)
        stop = _StopHook(_STEPS * counts)
        runner = _run(first, scratch, source, stop, smaller, note=note)
        # Neither evaluations nor checkpoints are part of a step.
        second = copy.deepcopy(cfg)
        without_evaluation(second)
        second.default_hooks.checkpoint.update(
            by_epoch=False, interval=-1, save_last=False
        )
        clock = _StopHook(seconds=seconds)
        _run(second, scratch, source, clock, smaller, resume=True)
        done = min(_STEPS * accumulation(runner), runner.max_iters)
        if clock.begun != done:
            raise UserError(
                f'the resumed run began at iteration {clock.begun}, expected '
                f'{done}'
            )
        plan = plan_text(runner, cfg.work_dir, clock.timer, _memory())
    return '\n'.join([plan, *(f'note     {n}' for n in spare_classes(cfg))])


@contextmanager
def scratch_folder(cfg: Config) -> Iterator[str]:
    """A new folder that all processes have, removed at the end.

    It lies in the work dir, or in the first folder above that is there:
    machines share that, and not their ``/tmp``. The first process chooses it.

    Raises:
        OSError: Nothing can be written there.
    """
    path = Path(cfg.work_dir).absolute()
    there = next(p for p in (path, *path.parents) if p.is_dir())
    if cfg.launcher != 'none' and not is_distributed():
        # The Runner, which comes later, finds it done.
        if torch.cuda.is_available():
            environment = cfg.get('env_cfg') or {}
            init_dist(cfg.launcher, **environment.get('dist_cfg', {}))
        else:
            use_gloo(cfg)
    scratch = decide_on_main(
        lambda: tempfile.mkdtemp(prefix='.dry_run_', dir=there)
    )
    try:
        yield scratch
    finally:
        if is_first_process():
            shutil.rmtree(scratch, ignore_errors=True)


def _run(
    cfg: Config,
    scratch: str,
    source: str,
    hook: Hook,
    smaller: str,
    resume: bool = False,
    note: str = '',
) -> Runner:
    """Train in the scratch folder until the hook ends it.

    The note says so, once nothing is found to be wrong.
    """
    cfg.work_dir = scratch
    cfg.default_hooks.checkpoint.pop('out_dir', None)
    cfg.experiment_name = f'dry_run_{Path(scratch).name}_{resume}'
    if resume or cfg.get('resume'):
        cfg.load_from = None
    cfg.resume = resume
    runner = build_runner(cfg)
    require_batches(runner, source, smaller)
    scale_learning_rate(runner)
    runner.register_hook(hook)
    if note and is_first_process():
        print(note, file=sys.stderr)
    with suppress(_EnoughError):
        runner.train()
    return runner


def plan_text(
    runner: Runner, work_dir: str, timer: StepTimer, memory: str
) -> str:
    """Five lines that say what a run is going to do, of one that was begun.

    Args:
        runner: Runner of the run.
        work_dir: Where it will write.
        timer: Has timed its iterations.
        memory: What it takes, as text.
    """
    lines = {
        'images': _images(runner),
        'step': _step(runner),
        'network': _network(runner),
        'cost': f'{_time(runner, timer)}; {memory}',
        'result': f'in {Path(work_dir).absolute()}; all parts work: the same '
        'command without --dry-run trains',
    }
    return '\n'.join(f'{name:8} {text}' for name, text in lines.items())


def _images(runner: Runner) -> str:
    dataset: Sized = runner.train_dataloader.dataset
    images, samples = count_images(dataset), len(dataset)
    each = f' x {samples // images} = {samples:,} samples'
    epochs = counted(runner.max_epochs, 'epoch')
    return (
        f'{images:,}{each if samples > images else ""}; {epochs} '
        f'of {steps_per_epoch(runner):g} steps = '
        f'{total_steps(runner):,} steps'
    )


def _step(runner: Runner) -> str:
    batch = runner.train_dataloader.batch_sampler.batch_size
    factors = {
        'processes': runner.world_size,
        'accumulated': accumulation(runner),
    }
    step = batch * prod(factors.values())
    parts = [f'{step} images']
    if step > batch:
        several = (f'{n} {name}' for name, n in factors.items() if n > 1)
        parts[0] += f' ({batch} x {" x ".join(several)})'
    for name in QUEUES:
        if queue := getattr(unwrapped(runner.model), name, None):
            parts.append(f'{name.replace("_", " ")} of {queue.length:,} keys')
    return ', '.join([*parts, _rates(runner, total_steps(runner))])


def _network(runner: Runner) -> str:
    backbone = runner.cfg.model.get('backbone') or {}
    name = str(backbone.get('type') or runner.cfg.model.type)
    if depth := backbone.get('depth') or backbone.get('arch'):
        name += f' {depth}'
    parameters = [*runner.model.parameters()]
    trained = sum(p.numel() for p in parameters if p.requires_grad)
    parts = [f'{name}, {trained / 1e6:.3g} million parameters trained']
    for _, transform in view_transforms(runner.cfg):
        sizes = Counter(view_sizes(transform))
        each = (f'{count} of {size} px' for size, count in sizes.items())
        parts.append(f'views: {" and ".join(each)}')
        break
    return ', '.join(parts)


def _time(runner: Runner, timer: StepTimer) -> str:
    if not timer.steps:
        return 'too few steps to time them'
    whole = time_text(timer.median * runner.max_iters / 3600)
    return (
        f'{whole}, from {timer.median:.2g} s per iteration, without evaluation'
    )


def _memory() -> str:
    """The most memory that this process has taken, as text."""
    if torch.cuda.is_available():
        peak = torch.cuda.max_memory_allocated()
        return f'{peak / 2**30:.1f} GiB of the GPU at most'
    try:
        return f'{peak_bytes() / 2**30:.1f} GiB of memory, without workers'
    except OSError:
        return 'memory is not known on this system'


def _rates(runner: Runner, steps: int) -> str:
    for scheduler in runner.param_schedulers or []:
        if isinstance(scheduler, WarmupCosineLR):
            base = scheduler.base_values[0]
            rates = [base * scheduler.share(t) for t in range(steps)]
            peak = max(rates)
            return (
                f'learning rate {rates[0]:.3g}, {peak:.3g} at step '
                f'{rates.index(peak) + 1}, {rates[-1]:.2g} at the end'
            )
    rate = runner.optim_wrapper.get_lr()['lr'][0]
    return f'learning rate {rate:.3g} at the start'
