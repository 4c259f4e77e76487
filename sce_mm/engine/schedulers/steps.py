"""Counting optimiser steps in a Runner.

With gradient accumulation an optimiser step comes once in several iterations;
everything that SCE does once a step (momentum average, enqueue, schedules)
goes by these numbers. They are derived from the iteration, so that a resumed
run has them without saving them.
"""

import math

from mmengine.runner import Runner


def accumulation(runner: Runner) -> int:
    """Iterations that make one optimiser step."""
    return runner.optim_wrapper._accumulative_counts


def current_step(runner: Runner) -> int:
    """Optimiser steps done before the one that this iteration is part of."""
    return runner.iter // accumulation(runner)


def total_steps(runner: Runner) -> int:
    """Optimiser steps of the whole run."""
    return math.ceil(runner.max_iters / accumulation(runner))


def steps_per_epoch(runner: Runner) -> float:
    """Optimiser steps of an epoch; not whole if accumulation crosses it."""
    return len(runner.train_dataloader) / accumulation(runner)
