"""What a comparison says while it runs, and how long it still takes."""

from collections import defaultdict


def say(text: str) -> None:
    """Print a line for the user, at once."""
    print(f'[compare] {text}', flush=True)


class TimeLeft:
    """The steps that are left, and how long those of their kinds took.

    A step has a kind, within which its time is in proportion to its amount
    (iterations of a training, for example).

    Args:
        at_once: Number of steps that run at the same time.
    """

    def __init__(self, at_once: int = 1) -> None:
        self.at_once = at_once
        self.planned: dict[str, tuple[str, float]] = {}
        self.begun: dict[str, float] = {}
        self.amounts: defaultdict[str, float] = defaultdict(float)
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def plan(self, name: str, kind: str, amount: float) -> None:
        """Add a step that has to be made."""
        self.planned[name] = kind, amount

    def learn(self, kind: str, amount: float, seconds: float) -> None:
        """Take in how long a step of this kind took."""
        self.amounts[kind] += amount
        self.seconds[kind] += seconds

    def begin(self, name: str, now: float) -> None:
        """Note when a step begins; only the first call of a step counts."""
        self.begun.setdefault(name, now)

    def end(self, name: str, now: float) -> None:
        """Strike out a step, and take in how long it took."""
        kind, amount = self.planned.pop(name)
        # One with nothing to run has no time.
        if name in self.begun:
            self.learn(kind, amount, now - self.begun.pop(name))

    def left(self, now: float) -> float | None:
        """Seconds that are left; None while a kind was not measured yet.

        >>> time = TimeLeft()
        >>> time.plan('a', 'training', 100)
        >>> time.plan('b', 'training', 300)
        >>> time.begin('a', 0)
        >>> time.left(10) is None
        True
        >>> time.end('a', 60)
        >>> time.begin('b', 60)
        >>> time.left(90)
        150.0
        """
        total = 0.0
        for name, (kind, amount) in self.planned.items():
            if not self.amounts[kind]:
                return None
            whole = amount * self.seconds[kind] / self.amounts[kind]
            total += max(0.0, whole - (now - self.begun.get(name, now)))
        return total / self.at_once
