"""Decode many images in several processes, of the largest one at a time."""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext, suppress
from math import prod
from multiprocessing import Lock
from typing import Any, TypeVar

import cv2

from ...utils.errors import UserError
from ...utils.progress import track
from ...utils.run_commands import end_with_parent
from .decoding import header_size
from .shards import open_file

Result = TypeVar('Result')

# Larger images are decoded one at a time, by whatever number of processes.
_LARGE_PIXELS = 1 << 26


def map_images(
    function: Callable[[str], Result],
    paths: Sequence[str],
    workers: int,
    description: str,
) -> Generator[Result, None, None]:
    """What a function returns for each path, in their order.

    An image that takes much memory waits until no other such one is decoded.

    Args:
        function: Called in the processes, which get it when they start; it
            may hold locks.
        paths: Paths of images.
        workers: Number of processes; an image each is enough.
        description: Stands before the bar on the console.

    Raises:
        UserError: A process was killed, as happens without enough memory.
    """
    workers = max(1, min(workers, len(paths)))
    # Few images go one by one: they may be large.
    chunk = min(16, 1 + len(paths) // (8 * workers))
    # Locks reach a process when it starts, not with a task.
    with ProcessPoolExecutor(
        workers, initializer=_start_worker, initargs=(function, Lock())
    ) as pool:
        results = pool.map(_call, paths, chunksize=chunk)
        try:
            yield from track(results, description, len(paths))
        except BrokenProcessPool as error:
            raise UserError(
                'a process that decodes images was killed, as happens when '
                'the memory is too small: take fewer --workers'
            ) from error
        finally:
            # At Ctrl-C or an error nobody waits for the images whose turn has
            # not come.
            pool.shutdown(cancel_futures=True)


# What a process of the pool calls, and what it holds for a large image.
_function: Callable[[str], Any]
_large: Any


def _start_worker(function: Callable[[str], Any], large: Any) -> None:
    global _function, _large
    _function, _large = function, large
    # Ctrl-C reaches all processes: this one ends with the one that started
    # it, and without a word.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    end_with_parent()
    cv2.setNumThreads(0)


def _call(path: str) -> Any:
    with _large if _is_large(path) else nullcontext():
        return _function(path)


def _is_large(path: str) -> bool:
    # What cannot be read takes no memory.
    with suppress(OSError, UserError):
        return prod(header_size(open_file(path))) > _LARGE_PIXELS
    return False
