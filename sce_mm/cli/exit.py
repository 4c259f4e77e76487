"""Run a command: its output, its error messages and its exit code.

mmengine describes machine and config in some three hundred lines before it
finds out that a folder is empty. A command may hold its output until there is
work to do, so that a mistake is answered by its message alone. Log files are
written at once.
"""

import atexit
import dis
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn

from ..utils.errors import UserError
from ..utils.signals import INTERRUPTED
from .typed import as_typed

# The process number of a job under torchrun, Slurm and MPI.
_RANKS = ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK', 'PMI_RANK')
# Seconds in which a launcher ends the other processes of a failed one.
_PATIENCE = 10
_PACKAGE = Path(__file__).parents[1]


def run_main(main: Callable[[], object]) -> NoReturn:
    """Run a command to its end, and end the process with its exit code.

    An error that this project raises on purpose is one message without a
    traceback; of several processes the first one says it. Any other error
    ends the process as it always does.

    The interpreter is left without being taken down. A thread of torch that
    asks for it meanwhile would abort the process, and a signal would be
    answered as if Python had no handlers: the launcher would take a finished
    run for a failed one. What is registered for the end is done all the same.
    """
    code: object = None
    try:
        main()
        release_output()
    except SystemExit as stop:
        code = stop.code
    except KeyboardInterrupt:
        code = INTERRUPTED
        print('interrupted', file=sys.stderr)
    except Exception as error:
        message = message_of(error)
        if message is None:
            release_output()
            raise
        if not is_first_process():
            # The first one speaks; the launcher then ends the others.
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            time.sleep(_PATIENCE)
        code = f'error: {message}'
    if code is not None and not isinstance(code, int):
        print(as_typed(str(code)), file=sys.stderr)
        code = 1
    # Mistakes may be found before torch is there. Leaving the others of a
    # group waits for them, who may not know yet that it is over.
    torch = sys.modules.get('torch')
    if torch and not code and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    for thread in threading.enumerate():
        if not thread.daemon and thread is not threading.current_thread():
            thread.join()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)


class _HeldOutput:
    """Keeps what is written until it is released, then passes it on.

    Loggers hold on to the stream that they began with, so it is this one for
    good.
    """

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.waiting: list[str] | None = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        if self.waiting is None:
            return self.stream.write(text)
        self.waiting.append(text)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def release(self) -> None:
        waiting, self.waiting = self.waiting or [], None
        self.stream.write(''.join(waiting))
        self.stream.flush()


def hold_output() -> None:
    """Hold standard output until it is released."""
    sys.stdout = _HeldOutput(sys.stdout)


def release_output() -> None:
    """Write what was held, and hold no longer."""
    if isinstance(sys.stdout, _HeldOutput):
        sys.stdout.release()


def is_first_process() -> bool:
    """Whether this is the process of its job that prints for all."""
    return all(os.environ.get(name, '0') == '0' for name in _RANKS)


def message_of(error: BaseException) -> str | None:
    """The message of an error for the user; None if it needs its traceback.

    Shown are errors that a ``raise`` of this project made, which are written
    for users, and those of the system about files. Anything else is a bug,
    or comes from a library that knows nothing of what was typed.
    """
    before = error.__context__
    # Upstream mmengine repeats what a class says, with the name of the class.
    if type(before) is type(error) and str(error).endswith(str(before)):
        return message_of(before)
    if isinstance(error, OSError) and error.filename is not None:
        return f'{error.filename}: {error.strerror}'
    if isinstance(error, UserError | OSError) or _raised_here(error):
        return str(error)
    return None


def _raised_here(error: BaseException) -> bool:
    """Whether the innermost frame is at a ``raise`` of the project."""
    trace = error.__traceback__
    if trace is None or isinstance(error, AssertionError):
        return False
    while trace.tb_next is not None:
        trace = trace.tb_next
    code = trace.tb_frame.f_code
    file = Path(code.co_filename)
    ours = _PACKAGE in file.parents or 'tools' in file.parts
    return ours and code.co_code[trace.tb_lasti] == dis.opmap['RAISE_VARARGS']
