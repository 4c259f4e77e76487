"""Training steps of a config in a process of their own: rate and memory."""

from __future__ import annotations

import copy
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, repeat

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmpretrain.registry import MODELS
from torch import nn

from ..config.machine import fit_precision
from ..models.algorithms.sce import SCE
from .memory import view_sizes
from .peak_memory import peak_bytes, reset_peak
from .stages import StageClock, take_steps, time_stages
from .step_timer import StepTimer


def probe(cfg: Config, device: str, seconds: float, loading: bool) -> dict:
    """Train for so many seconds, in a process that has done nothing else.

    Args:
        cfg: Config; its batch size is the one that is tried. Its precision
            becomes one that the device has.
        device: Where to, ``'cpu'`` or ``'cuda'``.
        seconds: At least two steps are made, however long they take.
        loading: Whether images come from the config's data set, or else are
            noise that lies in memory.

    Returns:
        ``images_per_second``; ``seconds_per_step``, the median;
        ``backward_seconds`` of one step; ``steps`` behind the figures;
        ``peak_bytes`` above what the libraries take, None where the system
        does not tell; ``images`` of the data set, None without.

    Raises:
        MemoryError: The system ended the process.
    """
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        task = pool.submit(train, cfg, device, seconds, loading)
        try:
            return task.result()
        except BrokenProcessPool:
            raise MemoryError(
                'the process of the probe was ended, most likely for want of '
                'memory: try a smaller batch, --probe-batch'
            ) from None


def train(cfg: Config, device: str, seconds: float, loading: bool) -> dict:
    """What :func:`probe` runs."""
    init_default_scope('mmpretrain')
    MMLogger.get_current_instance().setLevel('ERROR')
    warm_up(device)
    before = _start_of_memory(device)
    images, batches = None, noise(cfg)
    if loading:
        loader = Runner.build_dataloader(cfg.train_dataloader, seed=0)
        images = len(loader.dataset)
        batches = chain.from_iterable(repeat(loader))
    model, optim_wrapper = build(cfg, device)
    clock = StageClock()
    timer = StepTimer(seconds)
    timer.start()
    enough = False
    while not enough:
        take_steps(model, optim_wrapper, batches, clock, 1)
        enough = timer.lap()
    peak = _peak(device, before)
    # Clocks around the stages make a GPU wait, so they come afterwards.
    clock = StageClock()
    time_stages(model, optim_wrapper, clock)
    take_steps(model, optim_wrapper, batches, clock, 1)
    return {
        'images_per_second': cfg.train_dataloader.batch_size / timer.median,
        'seconds_per_step': timer.median,
        'backward_seconds': clock.medians(skip=0)['backward'],
        'steps': timer.steps,
        'peak_bytes': peak,
        'images': images,
    }


def warm_up(device: str) -> None:
    """Something small, after which the libraries have their buffers."""
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)).to(device)
    net(torch.randn(2, 3, 8, 8, device=device)).sum().backward()


def noise(cfg: Config) -> Iterator[dict]:
    """The same batch of random images again and again, as it is loaded."""
    batch = cfg.train_dataloader.batch_size
    views = [
        torch.randint(256, (batch, 3, size, size), dtype=torch.uint8)
        for size in view_sizes(cfg)
    ]
    # A list of its own for each step, which may put other tensors into it.
    return ({'inputs': [*views], 'data_samples': None} for _ in repeat(None))


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
