"""What reaches the console, and when.

mmengine describes machine and config in some three hundred lines before it
finds out that a folder is empty. A command may hold its output until there is
work to do, so that a mistake is answered by its message alone. Log files are
written at once.
"""

import io
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..utils.processes import is_first_process


class _HeldOutput:
    """Keeps what is written until it is released, then passes it on.

    Loggers hold on to the stream that they began with, so it is this one for
    good.
    """

    def __init__(self, stream: Any, note: str) -> None:
        self.stream = stream
        self.waiting: list[str] | None = []
        self.note = note if sys.stderr.isatty() and is_first_process() else ''
        if self.note:
            print(self.note, end='', file=sys.stderr, flush=True)

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

    def wipe(self) -> None:
        if self.note:
            # To the beginning of the line, and nothing is left on it.
            print('\r\x1b[K', end='', file=sys.stderr, flush=True)
            self.note = ''

    def release(self) -> None:
        self.wipe()
        # Closed is that of a command that ran in this process before.
        if self.waiting is None or self.stream.closed:
            return
        waiting, self.waiting = self.waiting, None
        self.stream.write(''.join(waiting))
        self.stream.flush()


# What holds standard output. Services that follow runs put streams of their
# own before it.
_held: _HeldOutput | None = None


def hold_output() -> None:
    """Hold standard output until it is released.

    On a terminal a line says meanwhile that something is being done; it goes
    when there is something else to read.
    """
    global _held
    name = Path(sys.argv[0]).name
    _held = _HeldOutput(sys.stdout, f'{name}: loading and checking ...')
    sys.stdout = _held


def release_output() -> None:
    """Write what was held, and hold no longer."""
    if _held and not isinstance(sys.stdout, _Nowhere):
        _held.release()


def wipe_note() -> None:
    """Take the line back that says that something is being done."""
    if _held:
        _held.wipe()


def was_released() -> bool:
    """Whether output was held, and is not any longer: work has begun."""
    return _held is not None and _held.waiting is None


class _Nowhere(io.TextIOBase):
    """A stream that forgets what is written."""

    def write(self, text: str) -> int:
        return len(text)


@contextmanager
def no_output() -> Iterator[None]:
    """Keep what is written to standard output meanwhile to itself.

    Loggers that begin here say nothing afterwards either: they hold on to
    the stream that they began with.
    """
    stream, sys.stdout = sys.stdout, _Nowhere()
    try:
        yield
    finally:
        sys.stdout = stream
