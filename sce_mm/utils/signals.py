"""Exit codes and marker file of a training that a signal has stopped."""

import os
from pathlib import Path

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


def mark_preempted() -> None:
    """Tell the launcher of this machine that training stops and has saved."""
    if STOPPED_FILE in os.environ and os.environ.get('LOCAL_RANK', '0') == '0':
        Path(os.environ[STOPPED_FILE]).touch()


def was_preempted() -> bool:
    """Whether training has stopped since the launcher was started."""
    return Path(os.environ.get(STOPPED_FILE, '')).is_file()
