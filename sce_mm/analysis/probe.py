"""Measure rate and peak memory of training steps in their own process."""

import copy
import multiprocessing
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, repeat
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmpretrain.registry import MODELS
from torch import nn

from .. import register
from ..config.machine import fit_precision
from ..models.algorithms.sce import SCE
from ..utils.run_commands import end_with_parent
from ..utils.workers import EndsWithParent
from .memory import view_sizes_of_config, whole_views
from .step_timer import StepTimer


def probe(cfg: Config, device: str, seconds: float, loading: bool) -> dict:
    """Train for so many seconds in a process of its own.

    Args:
        cfg: Config; its precision becomes one that the device has.
        device: The device to train on, ``'cpu'`` or ``'cuda'``.
        seconds: Seconds to train; at least two steps are made.
        loading: Whether images come from the config's data set, or else are
            noise that lies in memory.

    Returns:
        ``images_per_second``; ``steps`` behind the figures;
        ``peak_bytes`` above what the libraries take, None where the system
        does not tell; ``images`` of the data set, None without.

    Raises:
        MemoryError: The system ended the process.
    """
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(
        1, mp_context=context, initializer=end_with_parent
    ) as pool:
        try:
            # Ctrl-C reaches all processes; that one inherits what is blocked
            # and ends by SIGTERM, without a word.
            before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            try:
                # First, for what a task imports when it arrives is not quiet.
                pool.submit(register)
                task = pool.submit(train, cfg, device, seconds, loading)
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
            return task.result()
        except BrokenProcessPool:
            raise MemoryError(
                'the process of the probe was ended, most likely for want of '
                'memory: try a smaller batch, --probe-batch'
            ) from None
        except KeyboardInterrupt:
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def train(cfg: Config, device: str, seconds: float, loading: bool) -> dict:
    """Train and measure; :func:`probe` runs this in another process."""
    init_default_scope('mmpretrain')
    MMLogger.get_current_instance().setLevel('ERROR')
    warm_up(device)
    before = _start_of_memory(device)
    images, batches = None, noise(cfg)
    if loading:
        loader = Runner.build_dataloader(cfg.train_dataloader, seed=0)
        loader.worker_init_fn = EndsWithParent(loader.worker_init_fn)
        images = len(loader.dataset)
        batches = chain.from_iterable(repeat(loader))
    model, optim_wrapper = build(cfg, device)
    timer = StepTimer(seconds)
    model.train()
    timer.start()
    for batch in batches:
        model.train_step(batch, optim_wrapper)
        model.after_optimizer_step(0.01)
        if timer.lap():
            break
    return {
        'images_per_second': cfg.train_dataloader.batch_size / timer.median,
        'steps': timer.steps,
        'peak_bytes': _peak(device, before),
        'images': images,
    }


def warm_up(device: str) -> None:
    """Compute a small step, so that the libraries allocate their buffers."""
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)).to(device)
    net(torch.randn(2, 3, 8, 8, device=device)).sum().backward()


def noise(cfg: Config) -> Iterator[dict]:
    """Yield the same batch of random images again and again, as loaded."""
    batch = cfg.train_dataloader.batch_size
    views = [
        torch.randint(256, (batch, 3, size, size), dtype=torch.uint8)
        for size in view_sizes_of_config(cfg)
    ]
    # A list of its own for each step, which may put other tensors into it.
    samples = whole_views(batch, len(views))
    return (
        {'inputs': [*views], 'data_samples': samples} for _ in repeat(None)
    )


def build(cfg: Config, device: str) -> tuple[SCE, OptimWrapper]:
    """Model and optimiser for one process."""
    if 'data_preprocessor' in cfg:
        cfg.model.setdefault('data_preprocessor', cfg.data_preprocessor)
    model = revert_sync_batchnorm(MODELS.build(cfg.model))
    model.init_weights()
    model = model.to(device)
    cfg = copy.deepcopy(cfg)
    fit_precision(cfg, device)
    return model, build_optim_wrapper(model, cfg.optim_wrapper)


def _start_of_memory(device: str) -> int | None:
    if device == 'cuda':
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()
    try:
        return reset_peak()
    except OSError:
        return None


def _peak(device: str, before: int | None) -> int | None:
    if before is None:
        return None
    if device == 'cuda':
        return torch.cuda.max_memory_allocated() - before
    return peak_bytes() - before


def reset_peak() -> int:
    """Set the high-water mark back to the bytes that are resident now.

    Raises:
        OSError: The system is not Linux, or the container forbids it.
    """
    Path('/proc/self/clear_refs').write_text('5')
    return peak_bytes()


def peak_bytes() -> int:
    """High-water mark of the resident memory of this process, in bytes."""
    status = Path('/proc/self/status').read_text()
    line = status.partition('VmHWM:')[2]
    return int(line.split()[0]) * 1024
