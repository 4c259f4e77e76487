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

from ...utils.errors import UserError
from ...utils.progress import track
from ...utils.text import listed

# Inverse strength of the L2 penalty on standardised features.
COSTS = tuple(10.0**exponent for exponent in range(-5, 3))
# Share of the training images that chooses C.
HELD_OUT = 0.2


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

    Features are ``[M, D]`` and ``[Q, D]``, labels ``[M]`` and ``[Q]``.

    Raises:
        UserError: ``costs`` is empty, or a class has too few images.
    """
    candidates = sorted(costs)
    if not candidates or candidates[0] <= 0:
        raise UserError(f'costs must be positive numbers, got {costs!r}')
    x, y = features.numpy(), labels.numpy()
    check_classes(y)
    fit_x, held_x, fit_y, held_y = train_test_split(
        x, y, test_size=HELD_OUT, stratify=y, random_state=0
    )

    def fitted(cost: float, x: np.ndarray, y: np.ndarray) -> Any:
        classifier = LogisticRegression(C=cost, max_iter=1000)
        return make_pipeline(StandardScaler(), classifier).fit(x, y)

    scores = {
        cost: 100 * float(fitted(cost, fit_x, fit_y).score(held_x, held_y))
        for cost in track(candidates, 'Linear probe')
    }
    best = max(candidates, key=lambda cost: scores[cost])
    test = test_features.numpy(), test_labels.numpy()
    return LinearProbe(
        100 * float(fitted(best, x, y).score(*test)), best, scores
    )


def check_classes(labels: np.ndarray, names: Sequence[str] = ()) -> None:
    """Check that a part of the training images can be held out.

    Args:
        labels: Classes ``[M]``.
        names: Names of the classes, for the message.

    Raises:
        UserError: A class has too few images.
    """
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) < 2:
        raise UserError(
            f'a classifier needs at least 2 classes, got {len(classes)}'
        )
    if counts.min() < 2:
        rare = [names[c] if names else str(c) for c in classes[counts < 2]]
        raise UserError(
            f'of {len(rare)} classes there is one training image only '
            f'({listed(rare)}): at least 2 are needed, one of them to be held '
            'out'
        )
    if HELD_OUT * len(labels) < len(classes):
        raise UserError(
            f'holding out {HELD_OUT:g} of {len(labels)} images leaves less '
            f'than one for each of {len(classes)} classes: add images'
        )
