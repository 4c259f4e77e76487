"""A hook through which a training on the command line has an accident."""

import os
import signal
import time
from pathlib import Path

from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module(force=True)
class FaultHook(Hook):
    """Once, before iteration ``at``: write a file, then die or be slow.

    Args:
        at: Iteration, from 0.
        once: Path of the file; nothing happens where it is already.
        kill_rank: The process that kills itself. With None all are slow from
            then on, so that who waits for the file can send a signal.
    """

    def __init__(
        self, at: int, once: str, kill_rank: int | None = None
    ) -> None:
        self.at = at
        self.once = Path(once)
        self.kill_rank = kill_rank
        self.slow = False

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.at and not self.once.exists():
            self.slow = self.kill_rank is None
            if runner.rank == (self.kill_rank or 0):
                self.once.touch()
                if not self.slow:
                    os.kill(os.getpid(), signal.SIGKILL)
        if self.slow:
            time.sleep(1)
