"""Show the progress of long work on the console."""

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from mmengine.dist import is_main_process
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

Item = TypeVar('Item')


class _Note(ProgressColumn):
    """What a function says, asked again every other second."""

    max_refresh = 2.0

    def __init__(self, ask: Callable[[], str]) -> None:
        super().__init__()
        self.ask = ask

    def render(self, task: Task) -> Text:
        """Show the current note."""
        return Text(self.ask())


def track(
    items: Iterable[Item],
    description: str,
    total: int | None = None,
    note: Callable[[], str] | None = None,
) -> Iterator[Item]:
    """Pass items on and show how many are done and how long is left.

    The bar is drawn on standard error, by the main process, and only where
    somebody can see it move: logs and pipes stay free of it.

    Where items take hours, ``note`` says how far the current one is; it
    stands for the time left, which would be that of equal items. ``total`` is
    the number of items that have no length.
    """
    columns = (
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        _Note(note) if note else TimeRemainingColumn(),
    )
    shown = sys.stderr.isatty() and is_main_process()
    with Progress(
        *columns, console=Console(stderr=True), disable=not shown
    ) as bar:
        yield from bar.track(items, total=total, description=description)
