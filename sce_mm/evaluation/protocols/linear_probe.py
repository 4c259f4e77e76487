"""Linear probe: logistic regression on standardised frozen features."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from ...utils.progress import track

# Inverse strength of the L2 penalty on standardised features.
COSTS = tuple(10.0**exponent for exponent in range(-5, 3))
# Share of the training images that chooses C.
HELD_OUT = 0.2
# Of each fit; scikit-learn warns if they are not enough.
MAX_ITER = 1000


@dataclass(frozen=True)
class LinearProbe:
    """Result of :func:`linear_probe`.

    Attributes:
        accuracy: Top-1 on the test set, in percent.
        cost: The C that was chosen.
        held_out: Top-1 on the held-out images for each C, in percent.
    """

    accuracy: float
    cost: float
    held_out: dict[float, float]


def linear_probe(
    features: Tensor,
    labels: Tensor,
    test_features: Tensor,
    test_labels: Tensor,
    costs: Sequence[float] = COSTS,
) -> LinearProbe:
    """Multinomial logistic regression (L-BFGS) on standardised features.

    C is the one with the best accuracy on a stratified part of the training
    set that is held out, the smallest of equals; the classifier is then
    fitted again on the whole training set and tested once. Mean and scale
    come from the images that a classifier is fitted on.

    Args:
        features: ``[M, D]``.
        labels: ``[M]``, at least two images of each class.
        test_features: ``[Q, D]``.
        test_labels: ``[Q]``.
        costs: Candidates for C.

    Raises:
        ValueError: ``costs`` is empty, or a class has too few images.
    """
    candidates = sorted(costs)
    if not candidates or candidates[0] <= 0:
        raise ValueError(f'costs must be positive numbers, got {costs!r}')
    x, y = features.numpy(), labels.numpy()
    _check_classes(y)
    fit_x, held_x, fit_y, held_y = train_test_split(
        x, y, test_size=HELD_OUT, stratify=y, random_state=0
    )
    scores = {
        cost: _fit_and_score(fit_x, fit_y, held_x, held_y, cost)
        for cost in track(candidates, 'Linear probe')
    }
    best = max(candidates, key=lambda cost: scores[cost])
    accuracy = _fit_and_score(
        x, y, test_features.numpy(), test_labels.numpy(), best
    )
    return LinearProbe(accuracy, best, scores)


def _fit_and_score(
    x: np.ndarray,
    y: np.ndarray,
    test_x: np.ndarray,
    test_y: np.ndarray,
    cost: float,
) -> float:
    classifier: Any = make_pipeline(
        StandardScaler(), LogisticRegression(C=cost, max_iter=MAX_ITER)
    )
    return 100.0 * float(classifier.fit(x, y).score(test_x, test_y))


def _check_classes(labels: np.ndarray) -> None:
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) < 2:
        raise ValueError(
            f'a classifier needs at least 2 classes, got {len(classes)}'
        )
    if counts.min() < 2:
        rare = classes[counts < 2].tolist()
        raise ValueError(
            f'classes {rare[:5]} have one training image only: at least 2 '
            'are needed, one of them to be held out'
        )
    if HELD_OUT * len(labels) < len(classes):
        raise ValueError(
            f'holding out {HELD_OUT:g} of {len(labels)} images leaves less '
            f'than one for each of {len(classes)} classes: add images'
        )
