"""The end of a process of a command."""

import atexit
import os
import sys
import threading
from collections.abc import Callable
from typing import NoReturn

import torch


def run_command(main: Callable[[], object]) -> NoReturn:
    """Run a command to its end, and end the process with its exit code.

    The interpreter is left without being taken down. A thread of torch that
    asks for it meanwhile would abort the process, and a signal would be
    answered as if Python had no handlers: the launcher would take a finished
    run for a failed one. What is registered for the end is done all the same.
    Errors end the process as they always do.

    Args:
        main: The command; may raise ``SystemExit``.
    """
    code: object = None
    try:
        main()
    except SystemExit as stop:
        code = stop.code
    if code is not None and not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    for thread in threading.enumerate():
        if not thread.daemon and thread is not threading.current_thread():
            thread.join()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)
