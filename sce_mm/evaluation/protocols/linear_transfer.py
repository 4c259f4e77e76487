"""Logistic regression on frozen features: the 11-data-set transfer protocol.

Multinomial logistic regression by L-BFGS with an L2 penalty of weight wd. Of
45 values of wd, spaced evenly in the logarithm from 1e-6 to 1e5, the first
with the best score on the validation part is taken; the classifier is then
fitted anew on training and validation part together and tested once.
Features are taken as they are. Ericsson, Gouk and Hospedales, "How Well Do
Self-Supervised Models Transfer?", CVPR 2021, and their released code.

Legend: N images, D features, C classes.
"""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from ...utils.progress import track
from .average_precision import eleven_point_average_precision

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

PENALTIES = tuple(np.logspace(-6, 5, 45).tolist())
# Of the training images where no validation part is given, and its seed.
HELD_OUT = 0.2
SEED = 0
# scikit-learn's own number, as in the released code; kept if it changes there.
MAX_ITER = 100

METRICS = ('top-1', 'mean per class', '11-point mAP')


class Part(NamedTuple):
    """Images of one part of a data set.

    Attributes:
        features: ``[N, D]``.
        labels: Classes ``[N]``; for the mAP whether an image shows a class,
            ``[N, C]``, 1 or 0.
    """

    features: Floats
    labels: Labels


class TransferResult(NamedTuple):
    """Outcome of :func:`linear_transfer`.

    Attributes:
        score: On the test part, in percent.
        penalty: The weight wd that was chosen.
        validation: Score of each wd on the validation part, in percent.
    """

    score: float
    penalty: float
    validation: dict[float, float]


def linear_transfer(
    train: Part,
    validation: Part | None,
    test: Part,
    metric: str,
    penalties: Sequence[float] = PENALTIES,
) -> TransferResult:
    """Choose the penalty, fit, and test once.

    Args:
        train: Training part.
        validation: Its validation part, or None to hold out a fifth of the
            training part at random (:func:`held_out_split`).
        test: Test part.
        metric: One of ``METRICS``.
        penalties: Candidates, in the order in which they are tried; each fit
            starts from the solution of the last, as in the released code.

    Raises:
        ValueError: The metric is unknown, or a penalty is not positive.
    """
    if metric not in METRICS:
        raise ValueError(
            f'metric must be one of {", ".join(METRICS)}, got {metric!r}'
        )
    if not penalties or min(penalties) <= 0:
        raise ValueError(
            f'penalties must be positive numbers, got {penalties!r}'
        )
    whole = train if validation is None else joined(train, validation)
    if validation is None:
        train, validation = held_out_split(train)
    score = _mean_average_precision if metric == METRICS[2] else _accuracy
    classifiers = [
        LogisticRegression(solver='lbfgs', max_iter=MAX_ITER, warm_start=True)
        for _ in range(train.labels.shape[1] if train.labels.ndim > 1 else 1)
    ]
    scores = {
        penalty: score(classifiers, train, validation, penalty, metric)
        for penalty in track(penalties, 'Penalties')
    }
    best = max(penalties, key=lambda penalty: scores[penalty])
    fresh = [
        LogisticRegression(solver='lbfgs', max_iter=MAX_ITER)
        for _ in classifiers
    ]
    return TransferResult(
        score(fresh, whole, test, best, metric), best, scores
    )


def joined(first: Part, second: Part) -> Part:
    """Images of two parts."""
    return Part(
        np.concatenate([first.features, second.features]),
        np.concatenate([first.labels, second.labels]),
    )


def held_out_split(part: Part) -> tuple[Part, Part]:
    """A training and a validation part, the split of the released code."""
    indices = np.arange(len(part.features))
    np.random.RandomState(SEED).shuffle(indices)
    size = int(HELD_OUT * len(indices))
    held, rest = indices[:size], indices[size:]
    return (
        Part(part.features[rest], part.labels[rest]),
        Part(part.features[held], part.labels[held]),
    )


def _accuracy(
    classifiers: Sequence[LogisticRegression],
    train: Part,
    test: Part,
    penalty: float,
    metric: str,
) -> float:
    (classifier,) = classifiers
    _fit(classifier, train.features, train.labels, 1 / penalty)
    right = classifier.predict(test.features) == test.labels
    if metric == METRICS[0]:
        return 100 * float(right.mean())
    classes = np.unique(test.labels)
    per_class = [right[test.labels == c].mean() for c in classes]
    return 100 * float(np.mean(per_class))


def _mean_average_precision(
    classifiers: Sequence[LogisticRegression],
    train: Part,
    test: Part,
    penalty: float,
    metric: str,
) -> float:
    """One classifier for each class, one penalty for all.

    The released code forces two columns of weights onto two classes and
    penalises both. Its optimum is that of one column with half the penalty.
    """
    precisions = []
    for label, classifier in enumerate(classifiers):
        _fit(classifier, train.features, train.labels[:, label], 2 / penalty)
        precisions.append(
            eleven_point_average_precision(
                test.labels[:, label] > 0,
                classifier.decision_function(test.features),
            )
        )
    return 100 * float(np.mean(precisions))


def _fit(
    classifier: LogisticRegression, features: Floats, labels: Labels, c: float
) -> None:
    with warnings.catch_warnings():
        # The protocol stops at a hundred iterations, converged or not.
        warnings.simplefilter('ignore', ConvergenceWarning)
        classifier.set_params(C=c).fit(features, labels)
