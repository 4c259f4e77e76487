"""Average precision: a case by hand, loops, and laws."""

import runpy
import sys

import numpy as np
import pytest

from sce_mm.evaluation.protocols.average_precision import (
    area_average_precision,
    eleven_point_average_precision,
)

# From the highest score down: + - + + - -, four positives with the last one.
SCORES = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3])
TARGETS = np.array([1, 0, 1, 1, 0, 0, 1], bool)


def random_case(seed: int, size: int = 40) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    targets = rng.random(size) < 0.3
    targets[0] = True
    return targets, rng.normal(size=size) + targets


def loop_area(targets: np.ndarray, scores: np.ndarray) -> float:
    """Walk down the ranking; then the envelope; then the area."""
    ranked = [bool(targets[i]) for i in np.argsort(-scores)]
    recalls, precisions, found = [0.0], [0.0], 0
    for rank, positive in enumerate(ranked, start=1):
        found += positive
        recalls.append(found / targets.sum())
        precisions.append(found / rank)
    area = 0.0
    for i in range(1, len(recalls)):
        area += (recalls[i] - recalls[i - 1]) * max(precisions[i:])
    return area


def loop_eleven(targets: np.ndarray, scores: np.ndarray) -> float:
    ranked = [bool(targets[i]) for i in np.argsort(-scores)]
    points, found = [(0.0, 1.0)], 0
    for rank, positive in enumerate(ranked, start=1):
        found += positive
        points.append((found / targets.sum(), found / rank))
    total = 0.0
    for tenth in range(11):
        # 0.3 and 3 / 10 are not the same number.
        level = np.linspace(0, 1, 11)[tenth]
        total += max(p for r, p in points if r >= level) / 11
    return total


def test_area_equals_a_hand_computed_case():
    # Envelope 1, 3/4, 3/4, 4/7 over four steps of a quarter.
    expected = (1 + 3 / 4 + 3 / 4 + 4 / 7) / 4

    assert area_average_precision(TARGETS, SCORES) == pytest.approx(expected)


def test_eleven_points_equal_a_hand_computed_case():
    # Recall up to 0.25: 1; up to 0.75: 3/4; up to 1: 4/7.
    expected = (3 * 1 + 5 * 3 / 4 + 3 * 4 / 7) / 11

    assert eleven_point_average_precision(TARGETS, SCORES) == pytest.approx(
        expected
    )


@pytest.mark.parametrize('seed', range(8))
def test_both_equal_loops(seed: int):
    targets, scores = random_case(seed)

    assert area_average_precision(targets, scores) == pytest.approx(
        loop_area(targets, scores)
    )
    assert eleven_point_average_precision(targets, scores) == pytest.approx(
        loop_eleven(targets, scores)
    )


def test_a_perfect_ranking_is_one_and_the_worst_is_the_share_at_the_end():
    targets = np.array([1, 1, 0, 0, 0], bool)

    assert area_average_precision(targets, -np.arange(5.0)) == 1
    # Precision is 1/4 and 2/5 at the two positives; the envelope takes 2/5.
    assert area_average_precision(targets, np.arange(5.0)) == pytest.approx(
        2 / 5
    )


@pytest.mark.parametrize(
    'measure', [area_average_precision, eleven_point_average_precision]
)
def test_order_of_the_images_does_not_matter_even_with_equal_scores(measure):
    targets, scores = random_case(0)
    scores = np.round(scores)
    order = np.random.default_rng(1).permutation(len(scores))

    assert measure(targets, scores) == measure(targets[order], scores[order])


def test_no_positive_is_explained():
    with pytest.raises(ValueError, match=r'at least one positive .* among 3'):
        area_average_precision(np.zeros(3, bool), np.arange(3.0))


def test_missing_scikit_learn_is_explained(root, monkeypatch):
    monkeypatch.setitem(sys.modules, 'sklearn.metrics', None)
    path = (
        root / 'sce_mm' / 'evaluation' / 'protocols' / 'average_precision.py'
    )
    with pytest.raises(ImportError, match='pip install scikit-learn'):
        runpy.run_path(str(path))
