"""Test whether two starts differ by more than the noise of the seeds."""

from collections.abc import Sequence
from statistics import mean, stdev

from scipy.stats import t as student

# Level of the test: the share of equal starts that are called different.
LEVEL = 0.05
# mmdet rounds AP to three digits: tenths in per cent. With two or three
# seeds equal gaps would otherwise pass for gaps without noise.
_ROUNDING = 0.1 / 12**0.5
# Box AP below which a detector has learned nothing that can be compared.
LEARNED = 1.0


def difference(
    ours: Sequence[float], theirs: Sequence[float]
) -> tuple[float, float]:
    """Mean gap between two starts, and half the width of its interval.

    The interval is that of Student's paired t test at ``LEVEL``. Pairs take
    out what runs of one seed have in common: the part of the labels, the
    order of the images, the initial heads.

    Args:
        ours: AP of each seed in per cent, rounded to tenths.
        theirs: Box APs of the other start, with the same seeds.
    """
    gaps = [a - b for a, b in zip(ours, theirs, strict=True)]
    count = len(gaps)
    if count < 2:
        return mean(gaps), float('inf')
    error = ((stdev(gaps) ** 2 + 2 * _ROUNDING**2) / count) ** 0.5
    return mean(gaps), error * float(student.ppf(1 - LEVEL / 2, count - 1))


def conclusion(
    percent: float,
    names: tuple[str, str],
    ours: Sequence[float],
    theirs: Sequence[float],
) -> str:
    """One sentence about the box APs of two starts with the same seeds."""
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
    gap, noise = difference(ours, theirs)
    if len(ours) < 2:
        return f'{text}: one seed says nothing of the noise.'
    result = 'no difference found'
    if abs(gap) > noise:
        result = f'{names[0]} is {"better" if gap > 0 else "worse"}'
    return (
        f'{text}: {result} ({gap:+.1f}, {1 - LEVEL:.0%} confidence interval '
        f'{gap - noise:+.1f} to {gap + noise:+.1f}).'
    )


def about_the_test(seeds: int, comparisons: int) -> str:
    """Sentences on how starts were compared and how often that errs."""
    if seeds < 2:
        return 'Whether a gap is noise needs --seeds with two or more numbers.'
    return (
        f'Pairs of starts are compared over the {seeds} seeds that they share '
        f"by Student's paired t test, two-sided, at the {LEVEL:.0%} level: of "
        f'{comparisons} comparisons {LEVEL * comparisons:.2g} would call '
        'equal starts different by chance. Two seeds see only very large '
        'differences, five much smaller ones.'
    )
