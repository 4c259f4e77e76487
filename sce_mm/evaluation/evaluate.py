"""kNN accuracy of a model, from two loaders of labelled images."""

from collections.abc import Sequence

import torch
from mmengine.dist import all_reduce, get_dist_info
from torch import nn
from torch.utils.data import DataLoader

from .features import extract_features
from .knn import knn_predict
from .samples import check_labels


def evaluate_knn(
    model: nn.Module,
    bank: DataLoader,
    query: DataLoader,
    k: int | Sequence[int] = 20,
    temperature: float = 0.07,
    branch: str = 'online',
) -> dict[int, float]:
    """Top-1 accuracy in percent for each k, equal on all processes.

    Each process classifies its share of the queries against the whole bank.

    Args:
        model: See :func:`~sce_mm.evaluation.features.extract_features`.
        bank: Labelled images to compare with.
        query: Labelled images to classify.
        k: Number of neighbours, or several.
        temperature: Of the votes, see :mod:`~sce_mm.evaluation.knn`.
        branch: ``'online'`` or ``'momentum'``.

    Raises:
        ValueError: An image has no label, or k exceeds the bank.
    """
    features, labels = extract_features(model, bank, branch)
    check_labels(labels, 'bank')
    queries, truth = extract_features(model, query, branch)
    check_labels(truth, 'query set')
    rank, world_size = get_dist_info()
    share = slice(rank, None, world_size)
    predicted = knn_predict(features, labels, queries[share], k, temperature)
    hits = torch.stack(
        [(classes == truth[share]).sum() for classes in predicted.values()]
    )
    all_reduce(hits)
    accuracies = (100.0 * hits.double() / len(truth)).tolist()
    return dict(zip(predicted, accuracies, strict=True))
