"""Stop a training at a signal: exit codes, a marker file, an early exit."""

import os
import signal
from pathlib import Path
from types import FrameType

# EX_TEMPFAIL of sysexits.h: nothing is wrong, try again later.
TRY_AGAIN = 75
# Exit code after Ctrl-C, as a shell counts it.
INTERRUPTED = 130
# And after SIGTERM.
TERMINATED = 143
# Names a file that is made when training has saved and stopped, for
# launchers between which and the training the exit code is lost. Each machine
# has one of its own.
STOPPED_FILE = 'SCE_MM_STOPPED_FILE'
_MESSAGE = b"""
Stopped by a signal. Nothing was saved: no step was running, or the config has
no PreemptionHook, as those of detectors have none. Exit code 75: --resume goes
on from the newest checkpoint, if there is one.
"""


def end_early() -> None:
    """Let SIGTERM and Ctrl-C end this process with 75 from now on.

    A training calls this before the imports that take seconds, when it cannot
    save yet. ``PreemptionHook`` takes over while it trains. Processes that are
    forked from this one end as they would without.
    """
    training = os.getpid()

    def stop(number: int, frame: FrameType | None) -> None:
        if os.getpid() != training:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        mark_preempted()
        if os.environ.get('LOCAL_RANK', '0') == '0':
            os.write(2, _MESSAGE)
        os._exit(TRY_AGAIN)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def mark_preempted() -> None:
    """Tell the launcher of this machine that training stops and has saved."""
    if STOPPED_FILE in os.environ and os.environ.get('LOCAL_RANK', '0') == '0':
        Path(os.environ[STOPPED_FILE]).touch()


def was_preempted() -> bool:
    """Whether training has stopped since the launcher was started."""
    return Path(os.environ.get(STOPPED_FILE, '')).is_file()
