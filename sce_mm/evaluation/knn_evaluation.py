"""kNN accuracy of a model, from two loaders of labelled images."""

from collections.abc import Sequence

import torch
from mmengine.dist import all_reduce, get_dist_info
from torch import Tensor, nn
from torch.utils.data import DataLoader

from .features import extract_features
from .knn import knn_predict
from .samples import check_labels

# Features [M, D] and classes [M].
Labelled = tuple[Tensor, Tensor]


def evaluate_knn(
    model: nn.Module,
    bank: DataLoader,
    query: DataLoader,
    k: int | Sequence[int] = 20,
    temperature: float = 0.07,
    branch: str = 'online',
) -> dict[int, float]:
    """Top-1 accuracy in percent for each k, equal on all processes.

    Images that cannot be read are left out of both sets.

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
    features = labelled_features(model, bank, 'bank', branch)
    queries = labelled_features(model, query, 'query set', branch)
    return shared_knn(features, queries, k, temperature)


def labelled_features(
    model: nn.Module, loader: DataLoader, name: str, branch: str = 'online'
) -> Labelled:
    """Features and classes of the images that can be read.

    Args:
        model: See :func:`~sce_mm.evaluation.features.extract_features`.
        loader: Labelled images.
        name: What the message calls them.
        branch: ``'online'`` or ``'momentum'``.

    Raises:
        ValueError: An image has no label.
    """
    features, labels = extract_features(model, loader, branch)
    check_labels(labels, name)
    return features, labels


def shared_knn(
    bank: Labelled,
    query: Labelled,
    k: int | Sequence[int],
    temperature: float,
) -> dict[int, float]:
    """Accuracies of features that all processes have.

    Each process classifies its share of the queries against the whole bank.

    Raises:
        ValueError: k exceeds the bank.
    """
    rank, world_size = get_dist_info()
    share = slice(rank, None, world_size)
    queries, truth = query
    predicted = knn_predict(*bank, queries[share], k, temperature)
    hits = torch.stack(
        [(classes == truth[share]).sum() for classes in predicted.values()]
    )
    all_reduce(hits)
    accuracies = (100.0 * hits.double() / len(truth)).tolist()
    return dict(zip(predicted, accuracies, strict=True))
