"""Prepare the worker processes of a data loader (``worker_init_fn``)."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2

from .run_commands import end_with_parent


@dataclass
class OneThread:
    """``worker_init_fn`` of a loader whose workers take one core each.

    torch sets its own number of threads to 1 in workers; OpenCV would start
    as many as there are cores in every one of them. In training mmengine's
    ``opencv_num_threads=0`` does it. ``inner`` is another one that runs first.
    """

    inner: Callable[[int], None] | None

    def __call__(self, worker_id: int) -> None:
        """Prepare worker number ``worker_id``."""
        if self.inner is not None:
            self.inner(worker_id)
        cv2.setNumThreads(0)


@dataclass
class ShieldedWorker:
    """``worker_init_fn`` of a loader whose workers survive one SIGTERM.

    Clusters send SIGTERM, and terminals SIGINT, to every process of a job. A
    worker that died of it would end the training before it has saved. Workers
    therefore ignore SIGINT. They obey SIGTERM at once if their own training
    sent it, else the second time. They say nothing of tensors that nobody
    takes any more, as when that ends by a signal. Where signals do not tell
    who sent them (macOS) nothing is shielded. ``inner`` is another one that
    runs first.
    """

    inner: Callable[[int], None] | None

    def __call__(self, worker_id: int) -> None:
        """Prepare worker number ``worker_id``."""
        if self.inner is not None:
            self.inner(worker_id)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        sys.excepthook = _show_unless_unread
        if hasattr(signal, 'sigwaitinfo'):
            # Threads inherit the mask, so that the signal waits for ours.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
            threading.Thread(
                target=_exit_on_sigterm, args=(os.getppid(),), daemon=True
            ).start()


@dataclass
class EndsWithParent:
    """``worker_init_fn`` of a loader whose workers end with their process.

    torch lets them look for it every five seconds, and those that have data to
    hand over wait for ever. ``inner`` is another one that runs first.
    """

    inner: Callable[[int], None] | None

    def __call__(self, worker_id: int) -> None:
        """Prepare worker number ``worker_id``."""
        if self.inner is not None:
            self.inner(worker_id)
        end_with_parent()


def _show_unless_unread(
    kind: type[BaseException], error: BaseException, trace: Any
) -> None:
    """What the thread that hands tensors over does with an error."""
    if not issubclass(kind, (ConnectionError, EOFError)):
        sys.__excepthook__(kind, error, trace)


def _exit_on_sigterm(training: int) -> None:
    """End the process at a SIGTERM of the training, or at any second one."""
    for _ in range(2):
        if signal.sigwaitinfo({signal.SIGTERM}).si_pid == training:
            break
    os._exit(0)
