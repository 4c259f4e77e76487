"""Start workers of a data loader: one thread each, shielded from SIGTERM."""

import os
import signal
import threading
from collections.abc import Callable

import cv2


class OneThread:
    """``worker_init_fn`` of a loader whose workers take one core each.

    torch sets its own number of threads to 1 in workers; OpenCV would start
    as many as there are cores in every one of them. In training mmengine's
    ``opencv_num_threads=0`` does it.

    Args:
        inner: Called first in each worker.
    """

    def __init__(self, inner: Callable[[int], None] | None) -> None:
        self.inner = inner

    def __call__(self, worker_id: int) -> None:
        """Begin worker number ``worker_id``."""
        if self.inner is not None:
            self.inner(worker_id)
        cv2.setNumThreads(0)


class ShieldedWorker:
    """``worker_init_fn`` of a loader whose workers outlive one SIGTERM.

    Clusters signal every process of a job, and so does Ctrl-C, which workers
    never obey. A worker that died of it would end the training before it has
    saved. A worker obeys a signal of its own training process at once, and
    the second signal of others. Where signals do not tell who sent them
    (macOS) nothing is shielded.

    Args:
        inner: Called first in each worker.
    """

    def __init__(self, inner: Callable[[int], None] | None) -> None:
        self.inner = inner

    def __call__(self, worker_id: int) -> None:
        """Begin worker number ``worker_id``."""
        if self.inner is not None:
            self.inner(worker_id)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if hasattr(signal, 'sigwaitinfo'):
            # Threads inherit the mask, so that the signal waits for ours.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
            threading.Thread(
                target=_end_when_asked, args=(os.getppid(),), daemon=True
            ).start()


def _end_when_asked(training: int) -> None:
    """Take signals until one has to be obeyed, then end the process."""
    strangers = 0
    while strangers < 2:
        sender = signal.sigwaitinfo({signal.SIGTERM}).si_pid
        if sender == training:
            break
        strangers += 1
    os._exit(0)
