"""Being told to stop, by a cluster that wants its machine back."""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

# EX_TEMPFAIL of sysexits.h: nothing is wrong, try again later.
TRY_AGAIN = 75
# Of a shell for a command that Ctrl-C has ended.
INTERRUPTED = 130
# Names a file that is made when training has saved and stopped, for
# launchers between which and the training the exit code is lost. Each machine
# has one of its own.
STOPPED_FILE = 'SCE_MM_STOPPED_FILE'


def mark_preempted() -> None:
    """Tell the launcher of this machine that training stops and has saved."""
    if STOPPED_FILE in os.environ and os.environ.get('LOCAL_RANK', '0') == '0':
        Path(os.environ[STOPPED_FILE]).touch()


def was_preempted() -> bool:
    """Whether training has stopped since the launcher was started."""
    return Path(os.environ.get(STOPPED_FILE, '')).is_file()


class ShieldedWorker:
    """``worker_init_fn`` of a loader whose workers outlive one SIGTERM.

    Clusters signal every process of a job, and so does Ctrl-C, which workers
    never obey. One that died of it would end the training before that has
    saved. What its own training process
    sends when it ends is obeyed at once, and so is a second signal of others.
    Where signals do not tell who sent them (macOS) nothing is shielded.

    Args:
        inner: What the workers begin with besides.
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
                target=_end_when_told, args=(os.getppid(),), daemon=True
            ).start()


def _end_when_told(training: int) -> None:
    """Take signals until one has to be obeyed, then end the process."""
    strangers = 0
    while strangers < 2:
        sender = signal.sigwaitinfo({signal.SIGTERM}).si_pid
        if sender == training:
            break
        strangers += 1
    os._exit(0)
