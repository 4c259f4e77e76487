"""Linear transfer to eleven data sets: logistic regression on features.

Multinomial logistic regression by L-BFGS with an L2 penalty of weight wd. Of
45 values of wd, spaced evenly in the logarithm from 1e-6 to 1e5, the first
with the best score on the validation split is taken; the classifier is then
fitted again on training and validation split together and tested once.
Features are taken as they are. Ericsson, Gouk and Hospedales, "How Well Do
Self-Supervised Models Transfer?", CVPR 2021, and their released code.

Legend: N images, D features, C classes.
"""

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch import nn

from ...utils.distributed import map_distributed
from ...utils.errors import UserError
from ...utils.progress import track
from .average_precision import eleven_point_average_precision
from .linear_transfer_data import Split, TransferData
from .linear_transfer_sets import MAP, METRICS, TOP1, TransferSet

PENALTIES = tuple(np.logspace(-6, 5, 45).tolist())
# Share of the training images where no validation split is given.
HELD_OUT = 0.2


class TransferResult(NamedTuple):
    """Outcome of :func:`linear_transfer`.

    Attributes:
        score: Score on the test split, in percent.
        penalty: The weight wd that was chosen.
        validation: Score of each wd on the validation split, in percent.
    """

    score: float
    penalty: float
    validation: dict[float, float]


def linear_transfer(
    train: Split,
    validation: Split | None,
    test: Split,
    metric: str,
    penalties: Sequence[float] = PENALTIES,
) -> TransferResult:
    """Choose the penalty, fit, and test once.

    Args:
        train: Training split.
        validation: Its validation split, or None to hold out a fifth of the
            training split at random (:func:`held_out_split`).
        test: Test split.
        metric: One of ``METRICS``.
        penalties: Candidates, in the order in which they are tried; each fit
            starts from the solution of the last, as in the released code.

    Raises:
        UserError: The metric is unknown, or a penalty is not positive.
    """
    if metric not in METRICS:
        raise UserError(
            f'metric must be one of {", ".join(METRICS)}, got {metric!r}'
        )
    if not penalties or min(penalties) <= 0:
        raise UserError(
            f'penalties must be positive numbers, got {penalties!r}'
        )
    whole = train if validation is None else joined(train, validation)
    if validation is None:
        train, validation = held_out_split(train)
    # For the mAP a classifier for each class.
    count = train.labels.shape[1] if metric == MAP else 1
    classifiers, fresh = (
        [
            LogisticRegression(max_iter=100, warm_start=warm)
            for _ in range(count)
        ]
        for warm in (True, False)
    )
    with warnings.catch_warnings():
        # The protocol stops at a hundred iterations, converged or not.
        warnings.simplefilter('ignore', ConvergenceWarning)
        scores = {
            penalty: _fit_and_score(
                classifiers, train, validation, penalty, metric
            )
            for penalty in track(penalties, 'Penalties')
        }
        best = max(penalties, key=lambda penalty: scores[penalty])
        score = _fit_and_score(fresh, whole, test, best, metric)
    return TransferResult(score, best, scores)


def evaluate_transfer(
    model: nn.Module,
    datasets: Sequence[TransferData],
    batch_size: int = 64,
    workers: int = 2,
) -> list[dict[str, Any]]:
    """A row of results for each data set, and their mean if there are several.

    The processes share the fits.
    """
    jobs = [
        (each.entry, each.features(model, batch_size, workers))
        for each in datasets
    ]

    def fit(job: tuple[TransferSet, dict[str, Split]]) -> dict[str, Any]:
        entry, splits = job
        result = linear_transfer(
            splits['train'], splits.get('val'), splits['test'], entry.metric
        )
        return {
            'data set': entry.title,
            'metric': entry.metric,
            'score': result.score,
            'wd': result.penalty,
            'validation': result.validation[result.penalty],
        }

    rows = map_distributed(fit, jobs)
    if len(rows) > 1:
        mean = float(np.mean([row['score'] for row in rows]))
        average = {'data set': 'average', 'score': mean}
        rows.append(dict.fromkeys(rows[0], '') | average)
    return rows


def joined(first: Split, second: Split) -> Split:
    """Images of two splits."""
    return Split(*map(np.concatenate, zip(first, second, strict=True)))


def held_out_split(split: Split) -> tuple[Split, Split]:
    """A training and a validation split, the split of the released code."""
    indices = np.arange(len(split.features))
    np.random.RandomState(0).shuffle(indices)
    held, rest = np.split(indices, [int(HELD_OUT * len(indices))])
    return (
        Split(split.features[rest], split.labels[rest]),
        Split(split.features[held], split.labels[held]),
    )


def _fit_and_score(
    classifiers: Sequence[LogisticRegression],
    train: Split,
    test: Split,
    penalty: float,
    metric: str,
) -> float:
    """Score in percent of one classifier, or of one for each class."""
    if metric == MAP:
        precisions = []
        for label, classifier in enumerate(classifiers):
            # The released code forces two columns of weights onto two classes
            # and penalises both. Its optimum is that of one column with half
            # the penalty.
            targets = train.labels[:, label]
            classifier.set_params(C=2 / penalty).fit(train.features, targets)
            scores = classifier.decision_function(test.features)
            truth = test.labels[:, label] > 0
            precisions.append(eleven_point_average_precision(truth, scores))
        return 100 * float(np.mean(precisions))
    (classifier,) = classifiers
    classifier.set_params(C=1 / penalty).fit(train.features, train.labels)
    right = classifier.predict(test.features) == test.labels
    if metric == TOP1:
        return 100 * float(right.mean())
    per_class = [
        right[test.labels == c].mean() for c in np.unique(test.labels)
    ]
    return 100 * float(np.mean(per_class))
