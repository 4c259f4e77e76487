"""Profile a training step: seconds of its stages, and what to change."""

import math
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, repeat
from statistics import median
from typing import Any

import torch
from mmengine.dataset import ConcatDataset
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner

from ..datasets.samplers import without_repetition
from ..models.algorithms.sce import SCE
from ..utils.text import counted
from ..utils.workers import ShieldedWorker

# In the order of a step; the wait for data comes before all of them.
STAGES = (
    'data wait',
    'transfer',
    'target',
    'forward',
    'loss',
    'backward',
    'optimiser',
    'average',
    'enqueue',
)
_WARM_UP = 2
# Stages, the share of a step above which they stand out, and what helps.
_REMEDIES = (
    (
        ['loss'],
        0.15,
        'it grows with model.queue.length: a shorter queue is the remedy',
    ),
    (
        ['optimiser', 'average', 'enqueue'],
        0.15,
        'a larger batch, or optim_wrapper.accumulative_counts, spreads them '
        'over more images',
    ),
    (
        ['transfer'],
        0.1,
        'set train_dataloader.pin_memory=True and '
        'model.data_preprocessor.non_blocking=True',
    ),
    (
        ['target', 'forward', 'backward'],
        0.5,
        'where it is not so yet, train with --amp bfloat16 (or --amp on a '
        'GPU) and --cfg-options model.channels_last=True',
    ),
)


def profile(runner: Runner, steps: int, images: int) -> dict:
    """Profile training steps of a runner that has not trained.

    Args:
        runner: Runner; its hooks and logs take no part.
        steps: Steps to time, after two that are left out.
        images: Number of single images on which transforms are timed.

    Returns:
        Median seconds of the stages and of the transforms, rates in images a
        second, and advice.
    """
    loader, model = runner.train_dataloader, runner.model
    # No hook of the runner does it.
    loader.worker_init_fn = ShieldedWorker(loader.worker_init_fn)
    batch = loader.batch_sampler.batch_size
    single: Any = without_repetition(loader.dataset)
    while isinstance(single, ConcatDataset):
        # The transforms of the first stand for those of all.
        single = without_repetition(single.datasets[0])
    transforms = seconds_per_image(
        single.pipeline.transforms,
        [single.get_data_info(i % len(single)) for i in range(images)],
    )
    model.init_weights()
    optim_wrapper = runner.build_optim_wrapper(runner.cfg.optim_wrapper)
    clock = StageClock()
    time_stages(model, optim_wrapper, clock)
    # An epoch may be shorter than the steps asked for.
    batches = chain.from_iterable(repeat(loader))
    take_steps(model, optim_wrapper, batches, clock, _WARM_UP + steps)
    stages = clock.medians(skip=_WARM_UP)
    return {
        'batch': batch,
        'stages': stages,
        'seconds_per_step': sum(stages.values()),
        'transforms': transforms,
        'images_per_second': batch / sum(stages.values()),
        'advice': advise(stages, transforms, batch, loader.num_workers),
    }


def advise(
    stages: dict[str, float],
    transforms: dict[str, float],
    batch: int,
    workers: int,
) -> list[str]:
    """Say what to change, the most valuable first; never empty.

    Args:
        stages: Seconds of each stage of a step.
        transforms: Seconds of each transform for one image.
        batch: Images of a step.
        workers: Processes that load images.
    """
    total = sum(stages.values())
    advice = []
    if stages['data wait'] > 0.1 * total:
        image = sum(transforms.values())
        needed = math.ceil(image * batch / (total - stages['data wait']))
        advice.append(
            f'the step waits for data: an image costs a worker '
            f'{1e3 * image:.1f} ms, so {counted(needed, "worker")} would do; '
            f'there are {workers}, on {os.cpu_count()} cores: set '
            f'train_dataloader.num_workers={needed}, or, where cores are '
            'missing, store the images smaller'
        )
    for names, limit, remedy in _REMEDIES:
        share = sum(stages[name] for name in names) / total
        if share > limit:
            advice.append(
                f'{", ".join(names)}: {share:.0%} of a step; {remedy}'
            )
    return advice or ['no stage stands out']


class StageClock:
    """Adds up the seconds of each stage of one step after another."""

    def __init__(self) -> None:
        self._steps: list[dict[str, float]] = []

    def next_step(self) -> None:
        """Begin a new step."""
        self._steps.append(defaultdict(float))

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a block, including what it left for the device to do."""
        start = _now()
        yield
        self._steps[-1][name] += _now() - start

    def medians(self, skip: int) -> dict[str, float]:
        """Median seconds of each stage, the first steps left out."""
        kept = self._steps[skip:]
        return {name: median(step[name] for step in kept) for name in STAGES}


def _now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def time_stages(
    model: SCE, optim_wrapper: OptimWrapper, clock: StageClock
) -> None:
    """Put a clock around each stage of an SCE model."""
    for owner, method, stage in (
        (model.data_preprocessor, 'forward', 'transfer'),
        (model, 'encode_target', 'target'),
        (model, 'encode_online', 'forward'),
        (model.head, 'loss', 'loss'),
        (model.dense_head, 'loss', 'loss'),
        (optim_wrapper, 'backward', 'backward'),
        (optim_wrapper, 'step', 'optimiser'),
        (model.momentum_encoder, 'update', 'average'),
        (model.queue, 'enqueue', 'enqueue'),
        (model.dense_queue, 'enqueue', 'enqueue'),
    ):
        if owner is not None:
            timed = clock.stage(stage)(getattr(owner, method))
            setattr(owner, method, timed)


def take_steps(
    model: SCE,
    optim_wrapper: OptimWrapper,
    batches: Iterator[Any],
    clock: StageClock,
    count: int,
) -> None:
    """Make training steps without the hooks of a Runner."""
    model.train()
    for _ in range(count):
        clock.next_step()
        with clock.stage('data wait'):
            batch = next(batches)
        model.train_step(batch, optim_wrapper)
        model.after_optimizer_step(0.01)


def seconds_per_image(
    transforms: Sequence[Callable], samples: Sequence[dict]
) -> dict[str, float]:
    """Median seconds of each transform of a pipeline, by its class.

    The samples are what the data set gives to the first transform.
    """
    seconds = defaultdict(list)
    for sample in samples:
        results: Any = sample
        for transform in transforms:
            start = time.perf_counter()
            results = transform(results)
            name = type(transform).__name__
            seconds[name].append(time.perf_counter() - start)
            if results is None:  # A file that cannot be read.
                break
    return {name: median(values) for name, values in seconds.items()}
