"""Progress of long work on the console."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from mmengine.dist import is_main_process
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

Item = TypeVar('Item')


def track(
    items: Iterable[Item], description: str, total: int | None = None
) -> Iterator[Item]:
    """Pass items on and show how many are done and how long is left.

    The bar is drawn on standard error, by the main process, and only where
    somebody can see it move: logs and pipes stay free of it.

    Args:
        items: What is worked through.
        description: Short name of the work, shown before the bar.
        total: Number of items, if ``items`` has no length.

    Yields:
        The items, in their order.
    """
    columns = (
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    shown = sys.stderr.isatty() and is_main_process()
    with Progress(
        *columns, console=Console(stderr=True), disable=not shown
    ) as bar:
        yield from bar.track(items, total=total, description=description)
