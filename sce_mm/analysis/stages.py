"""Seconds of the stages of a training step."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Any

import torch
from mmengine.optim import OptimWrapper

from ..models.algorithms.sce import SCE

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


class StageClock:
    """Adds up the seconds of each stage of one step after another."""

    def __init__(self) -> None:
        self._steps: list[dict[str, float]] = []

    def next_step(self) -> None:
        """What is timed from here on belongs to a new step."""
        self._steps.append(defaultdict(float))

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a block, with all that it left for the device to do."""
        start = _now()
        yield
        self._steps[-1][name] += _now() - start

    def wrap(self, name: str, function: Callable) -> Callable:
        """The same function, timed."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.stage(name):
                return function(*args, **kwargs)

        return timed

    def medians(self, skip: int) -> dict[str, float]:
        """Median seconds of each stage, the first steps left out."""
        kept = self._steps[skip:]
        return {
            name: median(step.get(name, 0.0) for step in kept)
            for name in STAGES
        }


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
        (optim_wrapper, 'backward', 'backward'),
        (optim_wrapper, 'step', 'optimiser'),
        (model.momentum_encoder, 'update', 'average'),
        (model.queue, 'enqueue', 'enqueue'),
    ):
        if owner is not None:
            setattr(owner, method, clock.wrap(stage, getattr(owner, method)))


def take_steps(
    model: SCE,
    optim_wrapper: OptimWrapper,
    batches: Iterator[Any],
    clock: StageClock,
    count: int,
) -> None:
    """Training steps without a Runner's hooks."""
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

    Args:
        transforms: Of the training data set, in order.
        samples: What the data set gives to the first of them.
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
