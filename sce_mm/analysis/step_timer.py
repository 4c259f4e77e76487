"""Time training steps one after another, the first two left out."""

import time
from statistics import median

import torch

# Seconds of steps behind a figure.
SECONDS = 30.0
# Optimisers make their state in the first step, and loaders fill their
# queues: a step is itself from the third one on.
_WARM_UP = 2
_MINIMUM = 2


class StepTimer:
    """Times steps one after another and leaves out the first two.

    Args:
        seconds: Steps are timed until they have taken so long, and two at
            least.
    """

    def __init__(self, seconds: float = SECONDS) -> None:
        self.seconds = seconds
        self._left_out = 0
        self._times: list[float] = []

    def start(self) -> None:
        """Begin the next step, which includes the wait for its images."""
        self._start = time.perf_counter()

    def lap(self) -> bool:
        """End a step, begin the next, and return whether enough are timed."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        if self._left_out < _WARM_UP:
            self._left_out += 1
        else:
            self._times.append(time.perf_counter() - self._start)
        self.start()
        return self.steps >= _MINIMUM and sum(self._times) >= self.seconds

    @property
    def steps(self) -> int:
        """Number of steps that were timed."""
        return len(self._times)

    @property
    def median(self) -> float:
        """Seconds of a step; NaN if none was timed."""
        return median(self._times) if self._times else float('nan')


def time_text(hours: float) -> str:
    """A time with its unit, and as many digits as an estimate has.

    >>> time_text(121.4), time_text(1.24), time_text(0.05), time_text(0.0006)
    ('121 hours', '1.2 hours', '3 minutes', '2.2 seconds')
    """
    units = {'hours': 1, 'minutes': 60, 'seconds': 3600}
    unit = next((u for u, n in units.items() if hours * n >= 1), 'seconds')
    number = hours * units[unit]
    return f'{number:.0f} {unit}' if number >= 10 else f'{number:.2g} {unit}'
