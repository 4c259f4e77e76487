"""Measure medians and peak memory, and describe the machine."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from sce_mm.analysis.probe import peak_bytes, reset_peak

Run = Callable[[], object]


def interleaved(
    candidates: Mapping[str, Run], repeats: int
) -> dict[str, float]:
    """Median seconds of each candidate.

    One run of each in turn, so that other load on the machine falls on all of
    them alike; the first round warms up and does not count.
    """
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(repeats + 1):
        for name, run in candidates.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {
        name: statistics.median(values[1:]) for name, values in seconds.items()
    }


def peak_megabytes(prepare: Callable[[], Run]) -> float:
    """Peak resident memory of a run above what its inputs take, in MB.

    In a process of its own, from the high-water mark that Linux keeps, so
    that it counts what the allocator and the libraries really took.

    Args:
        prepare: Makes the inputs and runs something small, so that libraries
            have their buffers, and returns the run.
    """
    context = multiprocessing.get_context('fork')
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_measure_peak, args=(prepare, sender))
    child.start()
    sender.close()
    try:
        return receiver.recv()
    finally:
        child.join()


def _measure_peak(prepare: Callable[[], Run], sender: object) -> None:
    run = prepare()
    _give_back_free_memory()
    before = reset_peak()
    run()
    sender.send((peak_bytes() - before) / 1e6)


def _give_back_free_memory() -> None:
    """Return to the system what the C library keeps for later.

    A run that was given it again would seem to take nothing.
    """
    trim = getattr(ctypes.CDLL(None), 'malloc_trim', None)  # Of glibc alone.
    if trim is not None:
        trim(0)


def machine() -> dict[str, object]:
    """Processor, cores and versions behind the figures."""
    names = [
        line.partition(':')[2].strip()
        for line in Path('/proc/cpuinfo').read_text().splitlines()
        if line.startswith('model name')
    ]
    return {
        'processor': names[0] if names else platform.machine(),
        'cores': os.cpu_count(),
        'threads': torch.get_num_threads(),
        'load_before': os.getloadavg()[0],
        'python': platform.python_version(),
        'torch': torch.__version__,
    }
