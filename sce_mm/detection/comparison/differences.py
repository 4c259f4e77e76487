"""Is one start better than another, or is it the noise of the seeds?"""

from collections.abc import Sequence
from statistics import mean, stdev
from typing import NamedTuple

from scipy.stats import t as student

# Of the test: the share of equal starts that are called different.
LEVEL = 0.05
# mmdet rounds AP to three digits: tenths in per cent. With two or three
# seeds equal gaps would otherwise pass for gaps without noise.
_ROUNDING = 0.1 / 12**0.5
# Box AP below which a detector has learned nothing that can be compared.
LEARNED = 1.0


class Difference(NamedTuple):
    """Mean gap between two starts and how well it is known.

    Attributes:
        gap: Mean of the gaps of the seeds, in points of AP.
        noise: Half the width of its confidence interval at 1 - ``LEVEL``;
            infinite for one seed.
    """

    gap: float
    noise: float

    @property
    def is_told_apart(self) -> bool:
        """Whether the gap exceeds the noise."""
        return abs(self.gap) > self.noise


def difference(ours: Sequence[float], theirs: Sequence[float]) -> Difference:
    """Two-sided paired test with Student's t distribution.

    Pairs take out what runs of one seed have in common: the part of the
    labels, the order of the images, the initial heads.

    Args:
        ours: AP of each seed in per cent, rounded to tenths.
        theirs: Of the other start, with the same seeds in the same order.

    Raises:
        ValueError: The numbers of seeds differ.
    """
    gaps = [a - b for a, b in zip(ours, theirs, strict=True)]
    count = len(gaps)
    if count < 2:
        return Difference(mean(gaps), float('inf'))
    error = ((stdev(gaps) ** 2 + 2 * _ROUNDING**2) / count) ** 0.5
    reach = float(student.ppf(1 - LEVEL / 2, count - 1))
    return Difference(mean(gaps), reach * error)


def verdict(
    percent: float,
    names: tuple[str, str],
    ours: Sequence[float],
    theirs: Sequence[float],
) -> str:
    """One sentence about two starts.

    Args:
        percent: Of the labels.
        names: Of the two starts.
        ours: Box AP of each seed from the first of them.
        theirs: From the second, with the same seeds in the same order.
    """
    means = mean(ours), mean(theirs)
    text = (
        f'With {percent:g} % of the labels, {names[0]} reaches '
        f'{means[0]:.1f} box AP and {names[1]} {means[1]:.1f}'
    )
    if max(means) < LEARNED:
        return text + (
            ': neither detector has learned anything, so this says nothing '
            'about the starts. Train longer, or check labels and images.'
        )
    found = difference(ours, theirs)
    if len(ours) < 2:
        return text + ': one seed, which says nothing of the noise.'
    interval = (
        f'{found.gap:+.1f}, {1 - LEVEL:.0%} confidence interval '
        f'{found.gap - found.noise:+.1f} to {found.gap + found.noise:+.1f}'
    )
    if not found.is_told_apart:
        return text + f': not told apart ({interval}).'
    word = 'better' if found.gap > 0 else 'worse'
    return text + f': {names[0]} is {word} ({interval}).'


def about_the_test(seeds: int, comparisons: int) -> str:
    """How the verdicts were reached and how often they err."""
    if seeds < 2:
        return (
            'With one seed the noise is not known and no two starts can be '
            'told apart: give --seeds three numbers or more.'
        )
    wrong = LEVEL * comparisons
    return (
        f'Pairs of starts are compared over the {seeds} seeds that they share '
        f"by Student's paired t test, two-sided, at the {LEVEL:.0%} level: "
        f'{LEVEL:.0%} of starts that are equal are called different. Of '
        f'{comparisons} comparisons that is {wrong:.2g} by chance. With two '
        'seeds only very large differences can be told apart; five see much '
        'smaller ones.'
    )
