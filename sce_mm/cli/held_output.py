"""Standard output that waits until it is known that there is work to do.

mmengine describes machine and config in some three hundred lines before it
finds out that a folder is empty. A command holds its output until then, so
that a mistake is answered by its message alone. Log files are written at once.
"""

import sys
from collections.abc import Iterable
from typing import Any


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
    """From now on standard output waits."""
    sys.stdout = _HeldOutput(sys.stdout)


def release_output() -> None:
    """Write what has waited, and wait no longer."""
    if isinstance(sys.stdout, _HeldOutput):
        sys.stdout.release()
