"""Linear SVMs on frozen features of VOC 2007: the protocol of PCL.

One classifier for each class on features ``x / (|x| + 1e-5)``; images that
show a class as difficult objects alone are negatives of it; mAP is the mean
area under the precision envelope. Li et al., "Prototypical Contrastive
Learning of Unsupervised Representations", ICLR 2021, and their released code.

Legend: N training images, Q test images, D features, C classes.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmpretrain.registry import DATASETS
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC
from torch import nn

from ...utils.distributed import map_distributed
from ...utils.errors import UserError
from ..features import image_features
from ..images import crop_pipeline
from .average_precision import area_average_precision
from .linear_transfer_data import Floats, Split, multi_hot

RESIZE, CROP = 256, 224
COST = 0.5


def voc_images(folder: Path, split: str) -> Any:
    """Images and classes of a split in VOCdevkit, or the folder VOC2007 in it.

    Raises:
        FileNotFoundError: It is not there.
    """
    root = folder / 'VOC2007' if (folder / 'VOC2007').is_dir() else folder
    if not (root / 'ImageSets' / 'Main' / f'{split}.txt').is_file():
        raise FileNotFoundError(
            f'no VOC 2007 at {folder}: --data names VOCdevkit, which holds '
            f'VOC2007/ImageSets/Main/{split}.txt'
        )
    pipeline = crop_pipeline(RESIZE, CROP)
    config = dict(type='VOC', data_root=str(root), split=split)
    return DATASETS.build(config | dict(pipeline=pipeline))


def voc_split(
    model: nn.Module, images: Any, batch_size: int = 64, workers: int = 2
) -> Split:
    """Normalised features and classes of the images of a split."""
    features = image_features(model, images, batch_size, workers)
    return Split(normalised(features.numpy()), multi_hot(images))


def normalised(features: Floats) -> Floats:
    """Features divided by their L2 norm plus 1e-5."""
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / (norms + 1e-5))


def svm_table(
    train: Split,
    test: Split,
    shots: Sequence[int],
    costs: Sequence[float],
) -> list[dict[str, float]]:
    """Low-shot and full mAP of normalised features, a row for each C."""
    return [
        {
            'C': cost,
            **{f'k={k}': low_shot_svm(train, test, k, cost) for k in shots},
            'full': full_svm(train, test, cost),
        }
        for cost in costs
    ]


def full_svm(train: Split, test: Split, cost: float = COST) -> float:
    """Mean average precision of classifiers trained on all images, percent.

    Features are normalised.

    Raises:
        UserError: A class is in none or in all of the training images, or
            in no test image.
    """
    return _run_draws([np.arange(len(train.features))], train, test, cost)


def low_shot_svm(
    train: Split,
    test: Split,
    shots: int,
    cost: float = COST,
    runs: int = 5,
    seed: int = 0,
) -> float:
    """The same with ``shots`` images of each class, the mean of several draws.

    Arguments as in :func:`full_svm` and :func:`draw_low_shot`.
    """
    draws = [
        draw_low_shot(train.labels, shots, seed + run) for run in range(runs)
    ]
    return _run_draws(draws, train, test, cost)


def draw_low_shot(
    targets: NDArray[np.bool_], shots: int, seed: int
) -> NDArray[np.int64]:
    """Which images a low-shot training set consists of.

    For each class ``shots`` of the images that show it, at random. An image
    drawn for two classes is there twice, as in the released code; the draws
    themselves are not those of that code. With the same seed a smaller
    training set is part of a larger one.

    Args:
        targets: Whether an image shows a class, ``[N, C]``.
        shots: Images of each class.
        seed: Seed of the draw.

    Returns:
        Indices ``[C * shots]``.

    Raises:
        UserError: A class has fewer images.
    """
    rng = np.random.default_rng(seed)
    drawn = []
    for label in range(targets.shape[1]):
        positives = np.flatnonzero(targets[:, label])
        if not 1 <= shots <= len(positives):
            raise UserError(
                f'{shots} images of each class are to be drawn, but class '
                f'{label} has {len(positives)}'
            )
        drawn.append(rng.permutation(positives)[:shots])
    return np.concatenate(drawn)


def _run_draws(
    draws: Sequence[NDArray[np.int64]],
    train: Split,
    test: Split,
    cost: float,
) -> float:
    jobs = []
    for subset in draws:
        for label, count in enumerate(train.labels[subset].sum(axis=0)):
            if not 0 < count < len(subset):
                raise UserError(
                    f'class {label} is in {count} of {len(subset)} training '
                    'images: a classifier needs images with and without it'
                )
            jobs.append((subset, label))

    def fit(job: tuple[NDArray[np.int64], int]) -> float:
        subset, label = job
        classifier = LinearSVC(
            C=cost,
            class_weight={1: 2, -1: 1},
            dual=True,
            max_iter=2000,
            random_state=0,
        )
        targets = np.where(train.labels[subset, label], 1, -1)
        with warnings.catch_warnings():
            # The protocol stops at 2000 iterations, converged or not.
            warnings.simplefilter('ignore', ConvergenceWarning)
            classifier.fit(train.features[subset], targets)
        scores = classifier.decision_function(test.features)
        return area_average_precision(test.labels[:, label], scores)

    precisions = map_distributed(fit, jobs, 'Classifiers')
    table = np.reshape(precisions, (len(draws), -1))
    return float((100 * table.mean(axis=1)).mean())
