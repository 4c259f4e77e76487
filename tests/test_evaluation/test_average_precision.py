"""Average precision: a case by hand, loops, and laws."""

import numpy as np
import pytest

from sce_mm.evaluation.protocols.average_precision import (
    area_average_precision,
    eleven_point_average_precision,
)

MEASURES = (area_average_precision, eleven_point_average_precision)
# From the highest score down: + - + + - -, four positives with the last one.
BY_HAND = (
    np.array([1, 0, 1, 1, 0, 0, 1], bool),
    np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3]),
)


def random_case(seed: int, size: int = 40) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    targets = rng.random(size) < 0.3
    targets[0] = True
    return targets, rng.normal(size=size) + targets


def loops(targets: np.ndarray, scores: np.ndarray) -> tuple[float, float]:
    """Walk down the ranking: points of precision over recall; both areas."""
    # scikit-learn begins with a precision of 1 at recall 0.
    recalls, precisions, found = [0.0], [1.0], 0
    for rank, index in enumerate(np.argsort(-scores), start=1):
        found += targets[index]
        recalls.append(found / targets.sum())
        precisions.append(found / rank)
    area, eleven = 0.0, 0.0
    for i in range(1, len(recalls)):
        area += (recalls[i] - recalls[i - 1]) * max(precisions[i:])
    points = list(zip(recalls, precisions, strict=True))
    # 0.3 and 3 / 10 are not the same number.
    for level in np.linspace(0, 1, 11):
        eleven += max(p for r, p in points if r >= level) / 11
    return area, eleven


def test_both_equal_a_case_by_hand():
    # Envelope 1, 3/4, 3/4, 4/7 over four steps of a quarter.
    area = (1 + 3 / 4 + 3 / 4 + 4 / 7) / 4
    # Recall up to 0.25: 1; up to 0.75: 3/4; up to 1: 4/7.
    eleven = (3 * 1 + 5 * 3 / 4 + 3 * 4 / 7) / 11

    for measure, expected in zip(MEASURES, (area, eleven), strict=True):
        assert measure(*BY_HAND) == pytest.approx(expected)


@pytest.mark.parametrize('seed', range(4))
def test_both_equal_loops(seed: int):
    case = random_case(seed)

    assert [m(*case) for m in MEASURES] == pytest.approx(loops(*case))


@pytest.mark.parametrize('measure', MEASURES)
def test_order_of_the_images_does_not_matter_even_with_equal_scores(measure):
    targets, scores = random_case(0)
    scores = np.round(scores)
    order = np.random.default_rng(1).permutation(len(scores))

    assert measure(targets, scores) == measure(targets[order], scores[order])


def test_no_positive_is_explained():
    with pytest.raises(ValueError, match=r'at least one positive .* among 3'):
        area_average_precision(np.zeros(3, bool), np.arange(3.0))
