"""Exit with 75 at SIGTERM or Ctrl-C while training cannot save yet.

It listens before the imports that take seconds.
"""

import os
import signal
from pathlib import Path
from types import FrameType

from .signals import STOPPED_FILE, TRY_AGAIN

MESSAGE = b"""
Stopped by a signal. Nothing was saved: no step was running, or the config has
no PreemptionHook. Exit code 75: --resume goes on from the newest checkpoint,
if there is one.
"""


def listen() -> None:
    """Let SIGTERM and Ctrl-C end this process with 75 from now on.

    ``PreemptionHook`` takes over while it trains. Processes that are forked
    from this one end as they would without.
    """
    training = os.getpid()

    def stop(number: int, frame: FrameType | None) -> None:
        if os.getpid() != training:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        first = os.environ.get('LOCAL_RANK', '0') == '0'
        if STOPPED_FILE in os.environ and first:
            Path(os.environ[STOPPED_FILE]).touch()
        if first:
            os.write(2, MESSAGE)
        os._exit(TRY_AGAIN)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
