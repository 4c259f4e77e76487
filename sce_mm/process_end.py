"""The end of one of several processes."""

import atexit
import os
import sys
import threading

import torch


def leave_processes(code: int = 0) -> None:
    """End a process of several that all end at the same point.

    The interpreter is left without being taken down. A thread of gloo that
    asks for it meanwhile would abort the process, and the launcher would take
    a finished run for a failed one. What is registered for the end is done
    all the same. A process that is alone goes on.

    Args:
        code: Exit code.
    """
    if not torch.distributed.is_initialized():
        return
    torch.distributed.destroy_process_group()
    for thread in threading.enumerate():
        if not thread.daemon and thread is not threading.current_thread():
            thread.join()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
