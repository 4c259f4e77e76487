"""Test whether two starts differ by more than the noise of the runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from math import ceil, inf
from statistics import mean
from typing import TYPE_CHECKING, NamedTuple

from scipy.stats import t as student

from ..utils.text import counted

if TYPE_CHECKING:
    from .task import Measure

# Level of the test: the share of equal starts that are called different.
LEVEL = 0.05
# Share of comparisons that shall see a gap as large as the measured one.
POWER = 0.8


class Gap(NamedTuple):
    """Difference of a measure between two starts, over their shared seeds.

    Attributes:
        value: Mean of the differences in per cent.
        error: Its standard error, infinite with one seed.
        seeds: Number of pairs of predictors.
        pretrainings: Number of pretrainings that these come from; 0 if no
            start has one of ours.
    """

    value: float
    error: float
    seeds: int
    pretrainings: int = 0

    @property
    def units(self) -> int:
        """What is independent: several pretrainings, or else the seeds."""
        return self.pretrainings if self.pretrainings > 1 else self.seeds

    @property
    def df(self) -> int:
        """Degrees of freedom of the t test."""
        return self.units - 1

    @property
    def half_width(self) -> float:
        """Half the width of the confidence interval at ``1 - LEVEL``."""
        if not self.df:
            return inf
        return self.error * float(student.ppf(1 - LEVEL / 2, self.df))

    @property
    def p(self) -> float:
        """Probability of a gap as large if the starts were equal."""
        if not self.df:
            return 1.0
        return float(2 * student.sf(abs(self.value) / self.error, self.df))

    @property
    def seen(self) -> int:
        """1 or -1 if it is beyond the noise, else 0."""
        return (self.value > self.half_width) - (self.value < -self.half_width)

    @property
    def seeds_of_a_unit(self) -> int:
        """Predictors of each pretraining; 1 if seeds are independent."""
        return ceil(self.seeds / self.units)

    @property
    def units_needed(self) -> int:
        """Pretrainings, or seeds, with which such a gap is mostly seen."""
        deviation = self.error * self.units**0.5
        for count in range(2, 1000):
            factor = student.ppf(1 - LEVEL / 2, count - 1)
            factor += student.ppf(POWER, count - 1)
            if factor * deviation / count**0.5 <= abs(self.value):
                return count
        return 1000

    @property
    def bounds(self) -> str:
        """The two ends of the interval."""
        low, high = self.value - self.half_width, self.value + self.half_width
        return f'{low:+.1f} to {high:+.1f}'

    @property
    def p_text(self) -> str:
        """The p-value behind a sign: equal to it, or below the least shown."""
        return '< 0.001' if self.p < 0.001 else f'= {self.p:.3f}'

    def __str__(self) -> str:
        if not self.df:
            return f'{self.value:+.1f}, one seed'
        sure = f'{100 * (1 - LEVEL):.0f} % interval'
        return f'{self.value:+.1f}, {sure} {self.bounds}, p {self.p_text}'


def standard_error(
    values: Sequence[float], pretrainings: Sequence[Hashable]
) -> float | None:
    r"""Standard error of a mean over predictors, some of one pretraining.

    .. math:: \sqrt{\frac{P}{P - 1} \sum_p \Big(\sum_{i \in p}
        (x_i - \bar x)\Big)^2} \Big/ N

    with the cluster-robust estimate of Liang and Zeger (1986) over P
    pretrainings p. If there is one or none, each predictor counts for itself,
    and this is the standard deviation over :math:`\sqrt N`.

    Args:
        values: Measured of N predictors.
        pretrainings: What each comes from, N.

    Returns:
        None for a single value.
    """
    count = len(values)
    if count < 2:
        return None
    if len(set(pretrainings)) < 2:
        pretrainings = range(count)
    middle = mean(values)
    totals: dict[Hashable, float] = defaultdict(float)
    for value, key in zip(values, pretrainings, strict=True):
        totals[key] += value - middle
    squares = sum(total**2 for total in totals.values())
    return (len(totals) / (len(totals) - 1) * squares) ** 0.5 / count


def difference(
    ours: Sequence[float],
    theirs: Sequence[float],
    pretrainings: Sequence[Hashable] | None = None,
    step: float = 0.1,
) -> Gap:
    """Gap between two starts, tested over what is independent.

    Runs of one seed are subtracted, which takes out what they have in common:
    the part of the labels, the order of the images, the initial heads. The
    test is Student's paired t over the seeds, or, with P > 1 pretrainings,
    over these with P - 1 degrees of freedom: predictors of one pretraining
    share what is particular to it.

    Simulated with 3 pretrainings of 3 predictors each, and an effect of the
    pretraining of 0, 0.3 and 1 times the noise of one, the interval
    holds the true gap in 95 % of cases each time; that of t over all seeds in
    95, 93 and 82 %, and a random-effects error with Satterthwaite's degrees
    of freedom in 98, 97 and 92 % (with 5 predictors each, 71 and 89 % in the
    last case). The price: where pretrainings do not differ, a gap of twice
    the noise of a predictor is found in 84 instead of 100 % of cases.

    Args:
        ours: Measured of each seed, in per cent.
        theirs: The same of the other start, with the same seeds.
        pretrainings: What the predictors of each seed come from; without it
            each seed counts for itself.
        step: What the values are rounded to. With two or three seeds equal
            gaps would otherwise pass for gaps without noise.
    """
    gaps = [a - b for a, b in zip(ours, theirs, strict=True)]
    count = len(gaps)
    keys = pretrainings or [None] * count
    known = len(set(keys)) if pretrainings else 0
    error = standard_error(gaps, keys)
    if error is None:
        return Gap(mean(gaps), inf, count, known)
    # The variance of what rounding leaves is a twelfth of its square.
    error = (error**2 + 2 * step**2 / 12 / count) ** 0.5
    return Gap(mean(gaps), error, count, known)


def conclusion(
    measure: Measure,
    percent: float,
    names: tuple[str, str],
    means: tuple[float, float],
    gap: Gap,
) -> str:
    """One sentence about the means of two starts."""
    text = (
        f'With {percent:g} % of the labels, {names[0]} reaches '
        f'{means[0]:.1f} {measure.name} and {names[1]} {means[1]:.1f}'
    )
    if gap.seeds < 2:
        return f'{text}: one seed says nothing about the noise.'
    result = 'no difference found'
    if gap.seen:
        result = f'{names[0]} is {"better" if gap.seen > 0 else "worse"}'
    return f'{text}: {result} ({gap}).'


def nothing_learned(
    measure: Measure, percent: float, names: Sequence[str]
) -> str:
    """One sentence about all starts that have learned nothing."""
    return (
        f'With {percent:g} % of the labels, no {measure.predictor} from '
        f'{"; ".join(names[:-1])} or {names[-1]} has learned anything '
        f'({measure.name} below {measure.least:.3g}{measure.note}), so this '
        'says nothing about the pairs of these. Train longer, or check '
        'labels and images.'
    )


def about_the_test(measure: Measure, gaps: Mapping[str, Gap]) -> str:
    """Sentences on how starts were compared and how often that errs.

    Args:
        measure: The value that was compared.
        gaps: All that were tested, by what was compared.
    """
    name = measure.predictor
    if not gaps:
        return f'No {name} has learned anything, so no starts were compared.'
    seeds = max(gap.seeds for gap in gaps.values())
    if seeds < 2:
        return 'Whether a gap is noise needs --seeds with two or more numbers.'
    made = {gap.pretrainings for gap in gaps.values()}
    units = 'seeds'
    text = (
        f'Pairs of starts are compared over the {seeds} seeds that they '
        'share: runs of one seed, with the same labels and the same order of '
        "images, are subtracted, and Student's t test, two-sided, at the "
        f'{100 * LEVEL:.0f} % level, says whether the mean is noise. '
    )
    if max(made) > 1:
        units = 'pretrainings'
        text += (
            f'{name.capitalize()}s of one pretraining are not independent: '
            'pretrained '
            f'starts are tested over {max(made)} pretrainings, with '
            f'{max(made) - 1} degree{"s" * (max(made) > 2)} of freedom. '
        )
    elif 1 in made:
        text += (
            f'All {name}s of a start come from one pretraining; what '
            'another one would give is not known (--pretraining-seeds). '
        )
    text += (
        f'With {counted(len(gaps), "comparison")}, equal starts are called '
        f'different {LEVEL * len(gaps):.2g} times by chance. '
        f'{after_correction(gaps)}'
    )
    return text + (
        f'Two {units} see only very large differences, five much smaller ones.'
    )


def after_correction(gaps: Mapping[str, Gap]) -> str:
    """Sentence on the differences that hold for all comparisons together."""
    found = sum(gap.seen != 0 for gap in gaps.values())
    if len(gaps) < 2 or not found:
        return ''
    names = list(gaps)
    kept = [names[i] for i in holm([gap.p for gap in gaps.values()])]
    return (
        f"After Holm's correction for their number, {len(kept)} of {found} "
        f'found differences hold{": " if kept else ""}{"; ".join(kept)}. '
    )


def holm(p_values: Sequence[float]) -> list[int]:
    """Which hypotheses Holm's step-down procedure rejects (Holm, 1979).

    In a share of ``LEVEL`` of all sets of comparisons, at the most, any start
    that is equal to another is called different.

    Returns:
        Indices in their order.
    """
    kept = []
    ordered = sorted(range(len(p_values)), key=p_values.__getitem__)
    for rank, index in enumerate(ordered):
        if p_values[index] > LEVEL / (len(p_values) - rank):
            break
        kept.append(index)
    return sorted(kept)
