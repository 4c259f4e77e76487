"""Whether two starts differ by more than the noise of the runs."""

import random

import numpy as np
import pytest
from scipy.stats import ttest_1samp, ttest_rel

from sce_mm.comparison.differences import (
    LEVEL,
    about_the_test,
    difference,
    holm,
    standard_error,
)
from sce_mm.comparison.facts import gap
from sce_mm.detection.comparison import Detection

OURS = [31.2, 30.1, 33.0, 29.5, 31.0, 35.4]
THEIRS = [28.0, 31.3, 28.6, 27.2, 30.1, 30.0]
# Variance of a gap between two values that are rounded to tenths.
ROUNDED = 2 * 0.1**2 / 12


def test_without_pretrainings_it_is_the_paired_t_test():
    found = difference(OURS, THEIRS)
    expected = ttest_rel(OURS, THEIRS)
    low, high = expected.confidence_interval(1 - LEVEL)
    assert found.value == pytest.approx((low + high) / 2)
    assert found.df == expected.df == 5
    # But for the rounding, which counts as noise.
    error = (found.error**2 - ROUNDED / 6) ** 0.5
    assert found.value / error == pytest.approx(expected.statistic)
    assert found.half_width == pytest.approx((high - low) / 2, rel=1e-3)
    assert found.half_width > (high - low) / 2
    assert found.p == pytest.approx(expected.pvalue, rel=1e-3)


def test_with_pretrainings_of_equal_size_it_is_the_t_test_over_their_means():
    found = difference(OURS, THEIRS, [0, 1, 2, 0, 1, 2])
    gaps = np.subtract(OURS, THEIRS).reshape(2, 3).mean(0)
    expected = ttest_1samp(gaps, 0)
    assert (found.df, found.pretrainings, found.seeds) == (2, 3, 6)
    assert found.value == pytest.approx(gaps.mean())
    error = (found.error**2 - ROUNDED / 6) ** 0.5
    assert found.value / error == pytest.approx(expected.statistic)
    assert found.p == pytest.approx(expected.pvalue, rel=2e-2)


def test_one_pretraining_or_one_for_each_seed_leaves_the_seeds_independent():
    plain = difference(OURS, THEIRS)
    for keys in (['SCE'] * 6, list('abcdef')):
        found = difference(OURS, THEIRS, keys)
        assert found.error == pytest.approx(plain.error)
        assert (found.df, found.p) == (5, pytest.approx(plain.p))
    assert standard_error([1.0, 2.0], [None, None]) == pytest.approx(0.5)


def test_one_seed_is_never_a_difference():
    found = difference([40.0], [10.0])
    assert (found.seen, found.p, found.df) == (0, 1.0, 0)
    assert str(found) == '+30.0, one seed'
    assert standard_error([40.0], [None]) is None


def test_equal_values_are_no_difference_and_equal_gaps_no_proof():
    found = difference(OURS, OURS)
    assert (found.value, found.seen, found.p) == (0, 0, 1)
    found = difference([30.1, 30.3], [30.0, 30.2])
    assert found.value == pytest.approx(0.1)
    assert not found.seen
    assert found.p > LEVEL


def test_interval_and_p_agree():
    draw = np.random.default_rng(0)
    for _ in range(20):
        ours, theirs = draw.normal(20, 1, (2, 5)).round(1).tolist()
        found = difference(ours, theirs, [0, 1, 2, 0, 1])
        assert (found.seen != 0) == (found.p < LEVEL)


def test_more_runs_are_needed_for_smaller_gaps():
    noise = np.random.default_rng(0).normal(0, 1, 6)
    noise -= noise.mean()
    for keys in (None, [0, 1, 2, 0, 1, 2]):
        needed = [
            difference(
                (20 + x + noise).tolist(), [20.0] * 6, keys
            ).units_needed
            for x in (4, 2, 1, 0.5)
        ]
        assert needed == sorted(needed)
        assert needed[0] < needed[-1]


@pytest.mark.parametrize('seeds', [2, 5])
def test_equal_starts_are_called_different_as_rarely_as_stated(seeds):
    draw = random.Random(seeds)
    runs = 2000
    wrong = 0
    for _ in range(runs):
        # A part of the noise is that of the seed, which both starts share.
        shared = [draw.gauss(30, 1) for _ in range(seeds)]
        ours, theirs = (
            [round(s + draw.gauss(0, 1), 1) for s in shared] for _ in range(2)
        )
        wrong += difference(ours, theirs).seen != 0
    # Three standard errors of a rate of 5 % in 2000 runs are 1.5 %.
    assert 0.03 < wrong / runs < 0.065


@pytest.mark.parametrize('effect', [0.0, 0.3, 1.0])
@pytest.mark.parametrize('seeds', [5, 9])
def test_the_level_holds_where_detectors_share_pretrainings(seeds, effect):
    draw = np.random.default_rng(seeds)
    keys = [seed % 3 for seed in range(seeds)]
    runs = 1000
    clustered = plain = 0
    for _ in range(runs):
        shared = effect * draw.normal(size=3)[keys]
        ours = (30 + shared + draw.normal(size=seeds)).round(1)
        pair = ours.tolist(), [30.0] * seeds
        clustered += difference(*pair, keys).seen != 0
        plain += difference(*pair).seen != 0
    assert 0.02 < clustered / runs < 0.08
    if effect == 1:
        assert plain / runs > 0.08


def test_starts_are_tested_over_the_pretrainings_that_their_runs_name():
    def runs(values, keys):
        return {
            10: [
                {'seed': s, 'box AP': v} | ({'pretraining': k} if k else {})
                for s, (v, k) in enumerate(zip(values, keys, strict=True))
            ]
        }

    results = {
        'random initialisation': runs(THEIRS, [None] * 6),
        'random initialisation, 2 x as long': runs(OURS, [None] * 6),
        'SCE': runs(OURS, ['SCE', 'SCE_1', 'SCE_2'] * 2),
        'InfoNCE': runs(THEIRS, ['InfoNCE', 'InfoNCE_1', 'InfoNCE_2'] * 2),
        'one': runs(OURS, ['one'] * 6),
    }

    def made(ours, theirs):
        found = gap(Detection.measure, results, ours, theirs, 10)
        return found.pretrainings, found.df

    assert made('SCE', 'random initialisation') == (3, 2)
    assert made('SCE', 'InfoNCE') == (3, 2)
    assert made('one', 'random initialisation') == (1, 5)
    assert made('random initialisation, 2 x as long', 'SCE') == (3, 2)
    random_ones = list(results)[:2]
    assert made(*random_ones) == (0, 5)
    # A start with fewer seeds is compared over these.
    results['SCE'][10] = results['SCE'][10][1:3]
    found = gap(Detection.measure, results, 'SCE', 'InfoNCE', 10)
    assert found.seeds == 2
    expected = sum(OURS[1:3]) / 2 - sum(THEIRS[1:3]) / 2
    assert found.value == pytest.approx(expected)


def test_holm_holds_fewer_than_the_single_tests_and_at_least_bonferroni():
    assert holm([0.04]) == [0]
    # 0.01 < 0.05 / 4, 0.015 < 0.05 / 3, 0.03 > 0.05 / 2: no more after it.
    assert holm([0.03, 0.01, 0.04, 0.015]) == [1, 3]
    assert holm([0.04, 0.04]) == []
    assert holm([]) == []


def test_the_text_says_what_was_paired_and_what_may_be_chance():
    clear, same = difference(OURS, [1.0] * 6), difference(OURS, OURS)
    text = about_the_test(
        Detection.measure, {'SCE against random': clear, 'A against B': same}
    )
    assert '6 seeds' in text
    assert 'With 2 comparisons, ' in text
    assert '0.1 times by chance' in text
    assert '1 of 1 found differences hold: SCE against random.' in text
    keys = [0, 1, 2, 0, 1, 2]
    text = about_the_test(
        Detection.measure, {'SCE': difference(OURS, THEIRS, keys)}
    )
    assert '3 pretrainings, with 2 degrees of freedom' in text
    assert 'Holm' not in text
    text = about_the_test(
        Detection.measure, {'SCE': difference(OURS, THEIRS, ['SCE'] * 6)}
    )
    assert '--pretraining-seeds' in text
