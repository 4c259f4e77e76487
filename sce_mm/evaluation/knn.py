"""Weighted k-nearest-neighbour classification of frozen features, exact.

A query q votes with its k most similar bank entries b_j, by cosine:

    class(q) = argmax_c  sum_{j in top-k, y_j = c}  exp(cos(q, b_j) / T)

The protocol of Wu et al., "Unsupervised Feature Learning via Non-Parametric
Instance Discrimination", CVPR 2018, as DINO and OpenMMLab use it (T = 0.07).

Legend: M bank entries, Q queries, D features, K neighbours, C classes.
"""

from collections.abc import Sequence

import torch
from mmengine.dist import all_reduce, get_dist_info
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ..utils.errors import UserError
from .features import Labelled, labelled_features
from .neighbours import check_bank_size, nearest


def evaluate_knn(
    model: nn.Module,
    bank: DataLoader,
    query: DataLoader,
    k: int | Sequence[int] = 20,
    temperature: float = 0.07,
    branch: str = 'online',
) -> dict[int, float]:
    """Top-1 accuracy of a model in percent for each k.

    Images that cannot be read are left out of both sets.

    Arguments as in :func:`~sce_mm.evaluation.features.extract_features` and
    :func:`knn_predict`; the accuracies are equal on all processes.

    Raises:
        UserError: An image has no label, or k exceeds the bank.
    """
    votes = labelled_features(model, bank, 'bank', branch)
    queries = labelled_features(model, query, 'query set', branch)
    return knn_accuracy(votes, queries, k, temperature)


def knn_accuracy(
    bank: Labelled,
    query: Labelled,
    k: int | Sequence[int] = 20,
    temperature: float = 0.07,
) -> dict[int, float]:
    """Top-1 accuracy in percent for each k, of given features.

    Each process classifies its share of the queries against the whole bank.

    Arguments as in :func:`knn_predict`, which refuses them too.
    """
    rank, world_size = get_dist_info()
    share = slice(rank, None, world_size)
    queries = torch.as_tensor(query[0])
    truth = _classes(query[1], len(queries), 'queries')
    if not len(queries):
        raise UserError('there is no query to classify')
    predicted = knn_predict(*bank, queries[share], k, temperature)
    hits = torch.stack(
        [(classes == truth[share]).sum() for classes in predicted.values()]
    )
    all_reduce(hits)
    accuracies = (100.0 * hits.double() / len(truth)).tolist()
    return dict(zip(predicted, accuracies, strict=True))


def knn_predict(
    bank: Tensor,
    bank_labels: Tensor,
    queries: Tensor,
    k: int | Sequence[int] = 20,
    temperature: float = 0.07,
) -> dict[int, Tensor]:
    """Classes ``[Q]`` of the queries for each k, all from one search.

    Of classes with equal votes the lowest wins.

    Args:
        bank: Features ``[M, D]``, any norm; arrays of NumPy do as well.
        bank_labels: Their classes ``[M]``, from 0.
        queries: Features ``[Q, D]``, any norm.
        k: Number of neighbours, or several.
        temperature: T of the votes, positive.

    Raises:
        UserError: Temperature, k or labels are out of range, or the features
            do not fit, as in :func:`~sce_mm.evaluation.neighbours.nearest`.

    >>> bank, labels = torch.eye(3), torch.tensor([0, 1, 1])
    >>> knn_predict(bank, labels, torch.tensor([[0.9, 0.85, 0.85]]), k=(1, 3))
    {1: tensor([0]), 3: tensor([1])}
    """
    ks = check_ks(k)
    check_temperature(temperature)
    check_bank_size(len(bank), max(ks))
    bank, queries = torch.as_tensor(bank), torch.as_tensor(queries)
    bank_labels = _classes(bank_labels, len(bank), 'bank')
    indices_QK, similarities_QK = nearest(bank, queries, max(ks))
    labels_QK = bank_labels[indices_QK]
    # A factor common to all votes of a query is free: the nearest weighs 1,
    # and no temperature overflows.
    excess_QK = similarities_QK.double() - similarities_QK[:, :1].double()
    weights_QK = (excess_QK / temperature).exp()
    none_QC = weights_QK.new_zeros(len(queries), int(bank_labels.max()) + 1)
    return {
        k: none_QC.scatter_add(1, labels_QK[:, :k], weights_QK[:, :k]).argmax(
            dim=1
        )
        for k in ks
    }


def _classes(labels: Tensor, count: int, of: str) -> Tensor:
    """Labels as a tensor ``[count]`` of classes from 0, or UserError."""
    labels = torch.as_tensor(labels)
    if labels.shape != (count,) or labels.is_floating_point():
        raise UserError(
            f'labels of the {of} must be {count} whole numbers, one for each '
            f'row of features; got {labels.dtype} {list(labels.shape)}'
        )
    if count and int(labels.min()) < 0:
        raise UserError(
            f'labels of the {of} must be classes from 0, got '
            f'{int(labels.min())}'
        )
    return labels.long()


def check_ks(k: int | Sequence[int]) -> tuple[int, ...]:
    """Numbers of neighbours, ascending; UserError unless positive."""
    ks = (k,) if isinstance(k, int) else tuple(k)
    if not ks or any(not isinstance(x, int) or x < 1 for x in ks):
        raise UserError(f'k must be a positive integer or several, got {k!r}')
    return tuple(sorted(set(ks)))


def check_temperature(temperature: float) -> None:
    """Raise UserError unless positive."""
    if not temperature > 0:
        raise UserError(f'temperature must be positive, got {temperature}')
