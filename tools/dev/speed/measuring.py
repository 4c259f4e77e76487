"""Measure medians and peak memory, and describe the machine."""

import ctypes
import gc
import json
import multiprocessing
import os
import platform
import statistics
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from sce_mm.analysis.probe import peak_bytes, reset_peak
from sce_mm.cli.arguments import ArgumentParser

Run = Callable[[], object]


def command(
    description: str,
    measure: Callable[..., Any],
    table: Callable[[Any], str],
    **numbers: int,
) -> None:
    """Command line of a benchmark: measure, print the table, write figures.

    The numbers are options with their defaults; ``measure`` takes them.
    """
    parser = ArgumentParser(description)
    for name, default in numbers.items():
        parser.add_argument(f'--{name}', type=int, default=default)
    parser.add_argument('--json', type=Path, help='write the figures here')
    options = vars(parser.parse_args())
    file = options.pop('json')
    report = measure(**options)
    print(table(report))
    if file:
        file.write_text(json.dumps(report, indent=2) + '\n')


def interleaved(
    candidates: Mapping[str, Run],
    repeats: int,
    now: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Median seconds of each candidate.

    One run of each in turn, so that other load on the machine falls on all of
    them alike; the first round warms up and does not count.

    Args:
        candidates: What is run, by name.
        repeats: Rounds that count.
        now: The clock, in seconds. On one thread the processor's,
            ``time.process_time``, leaves out other work on the machine.
    """
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(repeats + 1):
        for name, run in candidates.items():
            start = now()
            run()
            seconds[name].append(now() - start)
    return {
        name: statistics.median(values[1:]) for name, values in seconds.items()
    }


class Clock:
    """The seconds that a part of the measurements may take.

    Args:
        seconds: Seconds from now on.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.perf_counter() + seconds

    def left(self) -> float:
        """Seconds that are left; negative when they are used up."""
        return self._end - time.perf_counter()


def on_device(
    candidates: Mapping[str, Callable[[], Run]],
    device: torch.device,
    clock: Clock,
    repeats: int = 15,
) -> dict[str, dict[str, Any]]:
    """Median milliseconds and peak memory of each candidate on a device.

    Two runs of each warm up. Then one run of each in turn, timed by events of
    the device, until there are enough or the clock has run out.

    Args:
        candidates: What makes the inputs of a run, and returns the run.
        device: The device; on a CPU there is no figure for the memory.
        clock: Seconds to take; one round is timed at least.
        repeats: Rounds at most.

    Returns:
        ``milliseconds``, ``rounds`` and ``peak_megabytes`` above what was
        there before, and their ratios to the first candidate's; or
        ``failed``, for a candidate that ran out of memory.
    """
    figures: dict[str, dict[str, Any]] = {}
    runs: dict[str, Run] = {}
    for name, prepare in candidates.items():
        with _without_what_is_too_large(name, figures, runs):
            with device:
                runs[name] = prepare()
            runs[name]()
            peak = _device_peak(runs[name], device)
            figures[name] = {'peak_megabytes': peak}
    times: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(repeats):
        if number and clock.left() <= 0:
            break
        for name in [*runs]:
            # Beside the others, which were made after it.
            with _without_what_is_too_large(name, figures, runs):
                times[name].append(milliseconds(runs[name], device))
    for name in runs:
        figures[name]['milliseconds'] = statistics.median(times[name])
        figures[name]['rounds'] = len(times[name])
    add_ratios(figures, 'milliseconds')
    add_ratios(figures, 'peak_megabytes')
    return figures


@contextmanager
def _without_what_is_too_large(
    name: str, figures: dict[str, dict[str, Any]], runs: dict[str, Run]
) -> Iterator[None]:
    """Take a candidate out that runs out of memory, and say so."""
    try:
        yield
    except RuntimeError as error:
        if not ran_out(error):
            raise
        runs.pop(name, None)
        figures[name] = {'failed': 'out of memory'}
        # They hold the tensors that were made.
        traceback.clear_frames(error.__traceback__)
        free_memory()


def ran_out(error: Exception) -> bool:
    """Whether the device had too little memory.

    CUDA, cuDNN and cuBLAS say it in words of their own.
    """
    return isinstance(error, torch.cuda.OutOfMemoryError) or any(
        words in str(error)
        for words in ('out of memory', 'STATUS_ALLOC_FAILED')
    )


def free_memory() -> None:
    """Free the memory of what is not used any more, cycles too."""
    gc.collect()
    torch.cuda.empty_cache()


def add_ratios(figures: dict[str, dict[str, Any]], unit: str) -> None:
    """Add to each candidate its figure over that of the first that has one."""
    present = [value for value in figures.values() if value.get(unit)]
    for value in present:
        value[f'{unit}_ratio'] = value[unit] / present[0][unit]


def milliseconds(run: Run, device: torch.device) -> float:
    """Milliseconds of a run on a device, from its start to its last work."""
    if device.type != 'cuda':
        start = time.perf_counter()
        run()
        return 1e3 * (time.perf_counter() - start)
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize(device)
    first.record()
    run()
    last.record()
    last.synchronize()
    return first.elapsed_time(last)


def _device_peak(run: Run, device: torch.device) -> float | None:
    if device.type != 'cuda':
        run()
        return None
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    run()
    torch.cuda.synchronize(device)
    return (torch.cuda.max_memory_allocated(device) - before) / 1e6


def peak_megabytes(prepare: Callable[[], Run]) -> float:
    """Peak resident memory of a run above what its inputs take, in MB.

    In a process of its own, from the high-water mark that Linux keeps, so
    that it counts what the allocator and the libraries really took. The
    process is a fork: no threads of torch may have started before.

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


def _measure_peak(prepare: Callable[[], Run], sender: Any) -> None:
    run = prepare()
    # What the C library keeps for later goes back to the system: a run that
    # was given it again would seem to take nothing. Only glibc can do that.
    trim = getattr(ctypes.CDLL(None), 'malloc_trim', int)
    trim(0)
    before = reset_peak()
    run()
    sender.send((peak_bytes() - before) / 1e6)


def machine() -> dict[str, Any]:
    """Processor, cores and versions behind the figures."""
    names = Path('/proc/cpuinfo').read_text().partition('model name')[2]
    name = names.partition('\n')[0].strip(' \t:')
    return {
        'processor': name or platform.machine(),
        'cores': os.cpu_count(),
        'threads': torch.get_num_threads(),
        'load_before': os.getloadavg()[0],
        'python': platform.python_version(),
        'torch': torch.__version__,
    }


def table_text(machine: dict, header: str, rows: list[str]) -> str:
    """A table below a line about the machine and the load that it had."""
    about = (
        f'{machine["processor"]}, {machine["threads"]} thread(s) of '
        f'{machine["cores"]} cores, torch {machine["torch"]}, Python '
        f'{machine["python"]}; load of the machine at the start '
        f'{machine["load_before"]:.1f}.\n'
    )
    line = '|' + '---|' * (header.count('|') - 1)
    return '\n'.join([about, header, line, *rows])
