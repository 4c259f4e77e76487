"""Save, restore, preserve and seed the random generators of a process."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def get_random_state() -> dict[str, Any]:
    """States of Python's, NumPy's and PyTorch's generators.

    Of the GPUs only the current one is covered: a process draws on its own
    device alone. Tensors and plain values only, so that a checkpoint with
    them can be read without unpickling freely.
    """
    kind, keys, *rest = np.random.get_state(legacy=True)
    return {
        'python': random.getstate(),
        'numpy': (
            kind,
            torch.tensor(np.asarray(keys).astype(np.int64)),
            *rest,
        ),
        'torch': torch.get_rng_state(),
        'cuda': torch.cuda.get_rng_state()
        if torch.cuda.is_initialized()
        else None,
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Restore what :func:`get_random_state` returned, from any device."""
    random.setstate(state['python'])
    kind, keys, *rest = state['numpy']
    np.random.set_state((kind, keys.cpu().numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state['torch'].cpu())
    if state['cuda'] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state['cuda'].cpu())


def seed_epoch(seed: int, epoch: int, rank: int) -> None:
    """Seed all generators from the run, the epoch and the process.

    An epoch then draws the same numbers whatever was drawn before it: by an
    evaluation, or by the start of a resumed run.
    """
    words = np.random.SeedSequence([seed, epoch, rank]).generate_state(1)
    random.seed(int(words[0]))
    np.random.seed(words[0])
    torch.manual_seed(int(words[0]))


@contextmanager
def preserve_rng() -> Iterator[None]:
    """Restore Python's, NumPy's and PyTorch's global generators on exit."""
    state = get_random_state()
    try:
        yield
    finally:
        set_random_state(state)
