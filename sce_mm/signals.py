"""Being told to stop, by a cluster that wants its machine back."""

import signal
from collections.abc import Callable
from types import FrameType

# EX_TEMPFAIL of sysexits.h: nothing is wrong, try again later.
TRY_AGAIN = 75
# Names a file that is made when training has saved and stopped, for
# launchers between which and the training the exit code is lost.
STOPPED_FILE = 'SCE_MM_STOPPED_FILE'


class ShieldedWorker:
    """``worker_init_fn`` of a loader whose workers outlive one SIGTERM.

    Clusters signal every process of a job. A worker that died of it would
    end the training before that has saved. The second signal ends it.

    Args:
        inner: What the workers begin with besides.
    """

    def __init__(self, inner: Callable[[int], None] | None) -> None:
        self.inner = inner

    def __call__(self, worker_id: int) -> None:
        """Begin worker number ``worker_id``."""
        if self.inner is not None:
            self.inner(worker_id)
        signal.signal(signal.SIGTERM, _yield_next_time)


def _yield_next_time(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
