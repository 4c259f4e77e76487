"""Keep what is done on the side from changing the random numbers of a run."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def preserve_rng() -> Iterator[None]:
    """Restore Python's, NumPy's and PyTorch's global generators on exit.

    Of the GPUs only the current one is covered: a process draws on its own
    device alone.
    """
    devices = (
        [torch.cuda.current_device()] if torch.cuda.is_initialized() else []
    )
    python_state = random.getstate()
    numpy_state = np.random.get_state()
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
