"""Linear SVMs on frozen features of VOC 2007: the protocol of PCL.

One classifier for each class on features ``x / (|x| + 1e-5)``; images that
show a class as difficult objects alone are negatives of it; mAP is the mean
area under the precision envelope. Li et al., "Prototypical Contrastive
Learning of Unsupervised Representations", ICLR 2021, and their released code.

Legend: N training images, Q test images, D features, C classes.
"""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

from ...utils.distributed import map_distributed
from .average_precision import area_average_precision

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

COST = 0.5
LOW_SHOTS = (1, 2, 4, 8, 16, 32, 64)
RUNS = 5
MAX_ITER = 2000


class LabelledFeatures(NamedTuple):
    """Features of images that may show several classes.

    Attributes:
        features: ``[N, D]``.
        targets: Whether an image shows a class, ``[N, C]``.
    """

    features: Floats
    targets: Bools


class SVMResult(NamedTuple):
    """Mean average precision of one training set, or of several draws.

    Attributes:
        maps: mAP in percent of each run.
        unconverged: Share of the classifiers that ``MAX_ITER`` stopped.
    """

    maps: tuple[float, ...]
    unconverged: float

    @property
    def mean(self) -> float:
        """Mean over the runs."""
        return float(np.mean(self.maps))


def normalised(features: Floats) -> Floats:
    """Features divided by their L2 norm plus 1e-5."""
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / (norms + 1e-5))


def full_svm(
    train: LabelledFeatures, test: LabelledFeatures, cost: float = COST
) -> SVMResult:
    """Mean average precision of classifiers trained on all images.

    Args:
        train: Normalised features.
        test: Normalised features.
        cost: C of the classifiers.

    Raises:
        ValueError: A class is in none or in all of the training images, or
            in no test image.
    """
    return _runs([np.arange(len(train.features))], train, test, cost)


def low_shot_svm(
    train: LabelledFeatures,
    test: LabelledFeatures,
    shots: int,
    cost: float = COST,
    runs: int = RUNS,
    seed: int = 0,
) -> SVMResult:
    """Mean average precision with a few training images of each class.

    Arguments as in :func:`full_svm` and :func:`draw_low_shot`.
    """
    draws = [
        draw_low_shot(train.targets, shots, seed + run) for run in range(runs)
    ]
    return _runs(draws, train, test, cost)


def draw_low_shot(targets: Bools, shots: int, seed: int) -> NDArray[np.int64]:
    """Which images a low-shot training set consists of.

    For each class ``shots`` of the images that show it, at random. An image
    drawn for two classes is there twice, as in the released code; the draws
    themselves are not those of that code. With the same seed a smaller
    training set is part of a larger one.

    Args:
        targets: ``[N, C]``.
        shots: Images of each class.
        seed: Of the draw.

    Returns:
        Indices ``[C * shots]``.

    Raises:
        ValueError: A class has fewer images.
    """
    rng = np.random.default_rng(seed)
    drawn = []
    for label in range(targets.shape[1]):
        positives = np.flatnonzero(targets[:, label])
        if not 1 <= shots <= len(positives):
            raise ValueError(
                f'{shots} images of each class are to be drawn, but class '
                f'{label} has {len(positives)}'
            )
        drawn.append(rng.permutation(positives)[:shots])
    return np.concatenate(drawn)


def _runs(
    draws: Sequence[NDArray[np.int64]],
    train: LabelledFeatures,
    test: LabelledFeatures,
    cost: float,
) -> SVMResult:
    for subset in draws:
        _check_classes(train.targets[subset])
    num_classes = train.targets.shape[1]
    jobs = [
        (subset, label) for subset in draws for label in range(num_classes)
    ]

    def fit(job: tuple[NDArray[np.int64], int]) -> tuple[float, bool]:
        subset, label = job
        scores, converged = _decision(
            train.features[subset],
            train.targets[subset, label],
            test.features,
            cost,
        )
        targets = test.targets[:, label]
        return area_average_precision(targets, scores), converged

    precisions, converged = zip(
        *map_distributed(fit, jobs, 'Classifiers'), strict=True
    )
    table = np.reshape(precisions, (len(draws), num_classes))
    return SVMResult(
        tuple((100 * table.mean(axis=1)).tolist()),
        1 - float(np.mean(converged)),
    )


def _decision(
    features: Floats, targets: Bools, test_features: Floats, cost: float
) -> tuple[Floats, bool]:
    """Scores of the test images, and whether the solver got to its end."""
    classifier = LinearSVC(
        penalty='l2',
        loss='squared_hinge',
        dual=True,
        C=cost,
        class_weight={1: 2, -1: 1},
        tol=1e-4,
        max_iter=MAX_ITER,
        intercept_scaling=1.0,
        random_state=0,
    )
    with warnings.catch_warnings():
        # Counted instead, or there would be hundreds.
        warnings.simplefilter('ignore', ConvergenceWarning)
        classifier.fit(features, np.where(targets, 1, -1))
    converged = int(np.max(classifier.n_iter_)) < MAX_ITER
    return classifier.decision_function(test_features), converged


def _check_classes(targets: Bools) -> None:
    counts = targets.sum(axis=0)
    for label, count in enumerate(counts):
        if not 0 < count < len(targets):
            raise ValueError(
                f'class {label} is in {count} of {len(targets)} training '
                'images: a classifier needs images with and without it'
            )
