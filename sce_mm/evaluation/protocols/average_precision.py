"""Average precision of ranked images, by area and by 11 points (VOC 2007).

Precision and recall are those of scikit-learn's curve: images with equal
scores enter together, so that the order of the images does not count.

Legend: Q images.
"""

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve

from ...utils.errors import UserError

Array = NDArray[np.float64]


def area_average_precision(targets: NDArray[np.bool_], scores: Array) -> float:
    """Area under the monotone envelope of precision over recall.

    ``sum_i (r_i - r_{i-1}) max_{r_j >= r_i} p_j`` over the thresholds, from
    the highest score down, with ``r_0 = 0``. The measure of VOC from 2010 on,
    and of the SVM protocol of PCL.

    Args:
        targets: Labels ``[Q]``, true for positive images.
        scores: Higher is more positive, ``[Q]``.

    Returns:
        Average precision in [0, 1].

    Raises:
        UserError: No image is positive.
    """
    precision, recall = _curve(targets, scores)
    # Recall falls along the curve; its last point belongs to no image.
    envelope = np.maximum.accumulate(precision)[:-1]
    return float(np.sum(-np.diff(recall) * envelope))


def eleven_point_average_precision(
    targets: NDArray[np.bool_], scores: Array
) -> float:
    """Mean of the highest precision at a recall of at least 0, 0.1, ..., 1.

    The measure of VOC 2007 as the 11-data-set transfer protocol computes it:
    scikit-learn ends its curve with a precision of 1 at recall 0, and that
    point takes part. So the first of the eleven terms is always 1, also if
    the highest score is that of a negative.

    Arguments and result as in :func:`area_average_precision`.
    """
    precision, recall = _curve(targets, scores)
    levels = np.linspace(0, 1, 11)
    return float(np.mean([precision[recall >= t].max() for t in levels]))


def _curve(targets: NDArray[np.bool_], scores: Array) -> tuple[Array, Array]:
    if not np.any(targets):
        raise UserError(
            'average precision needs at least one positive image, got none '
            f'among {len(targets)}'
        )
    precision, recall, _ = precision_recall_curve(targets, scores)
    return precision, recall
