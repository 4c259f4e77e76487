"""Show the progress of long work; write into the log, or keep it short."""

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import TypeVar

from mmengine.dist import is_main_process
from mmengine.logging import MMLogger, print_log
from rich import progress as rich
from rich.console import Console
from rich.text import Text

Item = TypeVar('Item')
# Seconds between two lines where no bar can move, in a log for example.
LINE_SECONDS = 30.0


def warn(message: str) -> None:
    """Write a warning into the log."""
    print_log(message, logger='current', level=logging.WARNING)


@contextmanager
def errors_alone() -> Iterator[None]:
    """Let the log of mmengine say nothing but errors within."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


class _Note(rich.ProgressColumn):
    """What a function says, asked again every other second."""

    max_refresh = 2.0

    def __init__(self, ask: Callable[[], str]) -> None:
        super().__init__()
        self.ask = ask

    def render(self, task: rich.Task) -> Text:
        """Show the current note."""
        return Text(self.ask())


class Progress:
    """How much of some work is done and how long is left, on standard error.

    A context that moves a bar on a terminal, and elsewhere, in a log for
    example, writes a line every half minute. Only the main process shows it.

    Where items take hours, ``note`` says how far the current one is; it
    stands for the time left, which would be that of equal items.
    """

    def __init__(
        self,
        description: str,
        total: int | None = None,
        note: Callable[[], str] | None = None,
    ) -> None:
        self.description = description
        self.total = total
        self.note = note
        self.done = 0
        self.shown = is_main_process()
        self.begun = self.written = time.monotonic()
        self.bar: rich.Progress | None = None

    def __enter__(self) -> 'Progress':
        if self.shown and sys.stderr.isatty():
            self.bar = rich.Progress(
                rich.TextColumn('{task.description}'),
                rich.BarColumn(),
                rich.MofNCompleteColumn(),
                rich.TimeElapsedColumn(),
                _Note(self.note) if self.note else rich.TimeRemainingColumn(),
                console=Console(stderr=True),
            )
            self.bar.add_task(self.description, total=self.total)
            self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.bar:
            self.bar.stop()

    def advance(self) -> None:
        """Count one more item."""
        self.done += 1
        if self.bar:
            self.bar.advance(self.bar.task_ids[0])
        self.wait()

    def wait(self) -> None:
        """Write a line if it is time; whoever waits for items calls it."""
        now = time.monotonic()
        if self.bar or not self.shown or now - self.written < LINE_SECONDS:
            return
        self.written = now
        line = progress_line(
            self.description,
            self.done,
            self.total,
            now - self.begun,
            self.note and self.note(),
        )
        print(line, file=sys.stderr, flush=True)


def track(
    items: Iterable[Item], description: str, total: int | None = None
) -> Iterator[Item]:
    """Pass items on and show how many are done and how long is left.

    ``total`` is the number of items that have no length.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    with Progress(description, total) as progress:
        for item in items:
            yield item
            progress.advance()


def progress_line(
    description: str,
    done: int,
    total: int | None,
    seconds: float,
    note: str | None = None,
) -> str:
    """How much is done after so many seconds, and how long the rest takes.

    >>> progress_line('Images', 250, 1000, 20)
    'Images: 250 of 1000, 0:01:00 left'
    >>> progress_line('Images', 250, None, 20)
    'Images: 250 after 0:00:20'

    A note stands for the time left.
    """
    text = f'{description}: {done}' + (f' of {total}' if total else '')
    if note is None and done and total:
        return f'{text}, {clock(seconds / done * (total - done))} left'
    return f'{text} after {clock(seconds)}' + (f', {note}' if note else '')


def clock(seconds: float) -> str:
    """A time in hours, minutes and seconds.

    >>> clock(3723.4)
    '1:02:03'
    """
    whole = round(seconds)
    return f'{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}'
