"""Run a command: its error messages and its exit code."""

import atexit
import logging
import os
import re
import select
import signal
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType
from typing import Any, NoReturn

from ..utils.errors import UserError, is_full
from ..utils.processes import is_first_process
from ..utils.signals import INTERRUPTED, TERMINATED
from .command_names import as_typed
from .console import release_output, was_released, wipe_note

# Seconds in which a launcher ends the other processes of a failed one.
_PATIENCE = 10
# What torch makes of the error of a process that loads data.
_SENT = re.compile(
    r'Caught \w+ in DataLoader worker process .*\n[\w.]*Error: (.*)', re.S
)
# How gloo, NCCL and torch's store say that another process has gone.
_GONE = re.compile(
    r'Connection (closed by peer|reset by peer|was likely closed)|'
    r'Broken pipe|remote process exited|NCCL communicator was aborted|'
    r'failed to recv, got 0 bytes'
)
# Prefixes of warnings in which packages describe their own code.
_OF_OTHERS = (
    'Default ``avg_non_ignore`` is False',
    'For binary segmentation, we suggest',
    'The draw is False, it means that',
    'torch.meshgrid: in an upcoming release',
    '`reduce_zero_label` will be deprecated',
    'DeprecationWarning: pretrained is',
    # Of schedules that go by iterations, where gradients are accumulated.
    'Detected call of `scheduler.step',
    # Both runs of a dry run have a visualizer of this name.
    r"<class 'mm\w+\.visualization\.\S+'> instance named of",
)
# Exit code of a command that nobody reads any more, as a shell counts SIGPIPE.
UNREAD = 128 + signal.SIGPIPE
# What errors of standard output name as their file.
OUTPUT = 'standard output'
# Set by --debug.
_DEBUG = 'SCE_DEBUG'
# How torch begins its warning of more loading processes than cores, which all
# recipes have on a small machine.
_MANY_WORKERS = 'This DataLoader will create'


def run_main(main: Callable[[], object]) -> NoReturn:
    """Run a command to its end, and end the process with its exit code.

    Errors are shown as by :func:`exit_code`.

    Ctrl-C and SIGTERM end a command by an exception, so that nothing stays
    half written; the exit codes are 130 and 143.

    The interpreter is left without being taken down. A thread of torch that
    asks for it meanwhile would abort the process, and a signal would be
    answered as if Python had no handlers: the launcher would take a finished
    run for a failed one. What is registered for the end is done all the same.
    """
    _open_closed_streams()
    sys.stdout = _Output(sys.stdout)
    # Trainings, which save first, listen already.
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        end_at_signals()
    warnings.filterwarnings('ignore', _MANY_WORKERS)
    # Also in processes that are started from here.
    sys.warnoptions.append(f'ignore:{_MANY_WORKERS}')
    # A log that cannot be written would show a traceback for each line.
    logging.raiseExceptions = debugs()
    for text in _OF_OTHERS:
        # At the end: what was typed as -W stands before.
        warnings.filterwarnings('ignore', text, append=True)
    threading.excepthook = _end_of_thread
    code = exit_code(main)
    # Mistakes may be found before torch is there. Leaving the others of a
    # group waits for them, who may not know yet that it is over.
    torch = sys.modules.get('torch')
    if torch and not code and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    for thread in threading.enumerate():
        if not thread.daemon and thread is not threading.current_thread():
            thread.join()
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = code or UNREAD
    except OSError as error:
        if not code:
            _say(f'error: {message_of(error)}')
            code = 1
    with suppress(OSError):
        sys.stderr.flush()
    os._exit(code)


class _Output:
    """Standard output, whose errors say that they are of it."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        with _of_output():
            return self.stream.write(text)

    def flush(self) -> None:
        with _of_output():
            self.stream.flush()


@contextmanager
def _of_output() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        error.filename = OUTPUT
        raise


def _open_closed_streams() -> None:
    """Let streams that were closed before the start (``>&-``) go nowhere.

    Without them the next files that are opened would be taken for them, here
    and in processes that are started from here.
    """
    for name, mode in (('stdin', 'r'), ('stdout', 'w'), ('stderr', 'w')):
        if getattr(sys, name) is None:
            stream = open(os.devnull, mode)  # noqa: SIM115
            os.set_inheritable(stream.fileno(), True)
            setattr(sys, name, stream)


def _say(line: str) -> None:
    """Write a line to standard error, if it can be written."""
    with suppress(OSError):
        print(line, file=sys.stderr, flush=True)


def exit_code(main: Callable[[], object]) -> int:
    """Run a command, show its error, and return its exit code.

    An error that this project raises on purpose is one message without a
    traceback; of several processes the first one says it. So is any other
    error, but its traceback goes to a file that the message names, or to the
    console if a training had begun. ``--debug`` shows all tracebacks. Nothing
    is said when the output goes to a program that has ended, such as ``head``.

    Raises:
        Exception: An error whose traceback has to be shown.
    """
    code: object = None
    try:
        try:
            main()
        finally:
            wipe_note()
        release_output()
    except SystemExit as stop:
        code = stop.code
    except KeyboardInterrupt as stop:
        terminated = isinstance(stop, _TerminatedError)
        _say('terminated' if terminated else 'interrupted')
        return TERMINATED if terminated else INTERRUPTED
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _is_unread():
            return UNREAD
        message = message_of(error)
        if message is None:
            if debugs() or was_released():
                release_output()
                raise
            message = _unexpected(error)
        elif debugs():
            traceback.print_exc()
        if not is_first_process():
            # The first one speaks; the launcher then ends the others.
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            time.sleep(_PATIENCE)
        code = f'error: {message}'
    if code is None or isinstance(code, int):
        return code or 0
    _say(as_typed(str(code)))
    return 1


def _end_of_thread(end: threading.ExceptHookArgs) -> None:
    """Say why a thread has ended, if the main one will not say so too."""
    if debugs() or not is_full(end.exc_value):
        threading.__excepthook__(end)


class _TerminatedError(KeyboardInterrupt):
    """SIGTERM has come."""


def _terminate(process: int, number: int, frame: FrameType | None) -> None:
    """Let a process clean up what it has half written, as at Ctrl-C.

    Those that are forked from it end at once.
    """
    if os.getpid() != process:
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)
    raise _TerminatedError


def end_at_signals() -> None:
    """Let Ctrl-C and SIGTERM end this process by an exception from now on."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, partial(_terminate, os.getpid()))


def _is_unread() -> bool:
    """Whether standard output is a pipe whose reader has ended."""
    try:
        pipe = sys.stdout.fileno()
    except (OSError, ValueError):
        return False
    poll = select.poll()
    poll.register(pipe, 0)
    return any(events & select.POLLERR for _, events in poll.poll(0))


def set_debug() -> None:
    """Show tracebacks from now on, also those of commands started here."""
    os.environ[_DEBUG] = '1'


def debugs() -> bool:
    """Whether errors are to be shown with their traceback."""
    return os.environ.get(_DEBUG, '0') not in ('', '0')


def message_of(error: BaseException) -> str | None:
    """The message of an error for the user; None if it needs its traceback.

    Shown are errors that are written for users, and those of the system about
    files. Anything else is a bug, or comes from a library that knows nothing
    of what was typed.
    """
    before = error.__context__
    # Upstream mmengine repeats what a class says, with the name of the class.
    if (
        type(before) is type(error)
        and error.__cause__ is None
        and str(error).endswith(str(before))
    ):
        return message_of(before)
    if isinstance(error, OSError) and error.filename is not None:
        return f'{error.filename}: {error.strerror}'
    # Without a text of the system it has one of ours.
    if is_full(error) and error.strerror:
        return (
            f'a file could not be written: {error.strerror}. Free space, or '
            'write to another disk; --resume goes on with a training'
        )
    if type(error).__name__ == 'OutOfMemoryError':
        return (
            f'{str(error).partition(". ")[0]}. Use a smaller batch, or --amp; '
            'sce estimate CONFIG says how much memory a training takes'
        )
    if type(error).__name__.startswith(('Runtime', 'Dist')) and _GONE.search(
        str(error)
    ):
        return (
            'another process of this run has ended. Its own message says '
            'why; without one it was killed, most likely for want of memory: '
            'use a smaller batch or fewer workers. A training goes on from '
            'its last checkpoint by --resume'
        )
    # A process that loads images sends its error as a text.
    if sent := _SENT.match(str(error)):
        return sent[1] if isinstance(error, UserError | OSError) else None
    if isinstance(error, UserError | OSError):
        return str(error)
    return None


@contextmanager
def naming(option: str) -> Iterator[None]:
    """Let messages of errors for the user name an option or a file.

    Raises:
        UserError: Such an error was raised within.
    """
    try:
        yield
    except Exception as error:
        message = message_of(error)
        if message is None or option in message:
            raise
        kind = type(error) if isinstance(error, UserError) else UserError
        raise kind(f'{option}: {message}') from error


@contextmanager
def naming_options(*parameters: str) -> Iterator[None]:
    """Let messages on parameters of a function name the options of these.

    Those that begin with ``max_pixels must`` then say ``--max-pixels must``.

    Raises:
        UserError: Such an error was raised within.
    """
    names = re.compile(rf'(?<![\w-])({"|".join(parameters)})(?![\w-])')
    try:
        yield
    except ValueError as error:
        text = message_of(error) or ''
        found = names.match(text)
        if found is None or not text.startswith(' must ', found.end()):
            raise
        text = names.sub(lambda name: f'--{name[1].replace("_", "-")}', text)
        raise UserError(text) from error


@contextmanager
def naming_keys(options: Mapping[str, str]) -> Iterator[None]:
    """Let messages on keys of a config name the options that set them.

    Args:
        options: Option by key.

    Raises:
        UserError: Such an error was raised within.
    """
    try:
        yield
    except UserError as error:
        text = str(error)
        for key, option in options.items():
            text = text.replace(f'{key}: ', f'{option} ({key}): ')
        raise type(error)(text) from error


def _unexpected(error: Exception) -> str:
    """Message of an error that nobody has thought of."""
    lines = str(error).strip().splitlines()
    text = f'{type(error).__name__}: {lines[0]}' if lines else repr(error)
    text = f'this was not expected: {text}'
    try:
        with tempfile.NamedTemporaryFile(
            'w', prefix='sce_error_', suffix='.txt', delete=False
        ) as file:
            traceback.print_exc(file=file)
    except OSError:
        return f'{text}. --debug shows where it comes from'
    return (
        f'{text}. Where it comes from is in {file.name}; --debug shows it here'
    )
