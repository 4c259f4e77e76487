"""Weighted k-nearest-neighbour classification, exact.

A query q votes with its k most similar bank entries b_j, by cosine:

    class(q) = argmax_c  sum_{j in top-k, y_j = c}  exp(cos(q, b_j) / T)

The protocol of Wu et al., "Unsupervised Feature Learning via Non-Parametric
Instance Discrimination", CVPR 2018, as DINO and OpenMMLab use it (T = 0.07).

Legend: M bank entries, Q queries, D features, K neighbours, C classes.
"""

from collections.abc import Sequence

from torch import Tensor

from .neighbours import check_bank_size, nearest


def knn_accuracy(
    bank: Tensor,
    bank_labels: Tensor,
    queries: Tensor,
    query_labels: Tensor,
    k: int | Sequence[int] = 20,
    temperature: float = 0.07,
    chunk_size: int = 256,
) -> dict[int, float]:
    """Top-1 accuracy in percent for each k.

    Args:
        bank: Features of the labelled bank ``[M, D]``, any norm.
        bank_labels: Their classes ``[M]``, 0 to C - 1.
        queries: Features to classify ``[Q, D]``.
        query_labels: Their true classes ``[Q]``.
        k: Number of neighbours, or several.
        temperature: T, positive.
        chunk_size: Queries at a time; bounds the memory, not the result.

    Raises:
        ValueError: See :func:`nearest` and :func:`knn_predict`.
    """
    predicted = knn_predict(
        bank, bank_labels, queries, k, temperature, chunk_size
    )
    return {
        count: 100.0 * (classes == query_labels).double().mean().item()
        for count, classes in predicted.items()
    }


def knn_predict(
    bank: Tensor,
    bank_labels: Tensor,
    queries: Tensor,
    k: int | Sequence[int] = 20,
    temperature: float = 0.07,
    chunk_size: int = 256,
) -> dict[int, Tensor]:
    """Classes ``[Q]`` of the queries for each k, all from one search.

    Of classes with equal votes the lowest wins. Arguments as in
    :func:`knn_accuracy`.

    Raises:
        ValueError: Temperature or labels are out of range, or see
            :func:`nearest`.
    """
    ks = check_ks(k)
    check_temperature(temperature)
    check_bank_size(len(bank), max(ks))
    if len(bank_labels) != len(bank):
        raise ValueError(
            f'one label for each bank entry is needed, got '
            f'{len(bank_labels)} for {len(bank)}'
        )
    if int(bank_labels.min()) < 0:
        raise ValueError(
            f'bank labels must be classes from 0, got {int(bank_labels.min())}'
        )
    indices_QK, similarities_QK = nearest(bank, queries, max(ks), chunk_size)
    labels_QK = bank_labels[indices_QK]
    num_classes = int(bank_labels.max()) + 1
    # A factor common to all votes of a query is free: the nearest weighs 1,
    # and no temperature overflows.
    excess_QK = similarities_QK.double() - similarities_QK[:, :1].double()
    weights_QK = (excess_QK / temperature).exp()
    return {
        count: _vote(labels_QK[:, :count], weights_QK[:, :count], num_classes)
        for count in ks
    }


def check_ks(k: int | Sequence[int]) -> tuple[int, ...]:
    """Numbers of neighbours, ascending; ValueError unless positive."""
    ks = (k,) if isinstance(k, int) else tuple(k)
    if not ks or any(not isinstance(x, int) or x < 1 for x in ks):
        raise ValueError(f'k must be a positive integer or several, got {k!r}')
    return tuple(sorted(set(ks)))


def check_temperature(temperature: float) -> None:
    """Raise ValueError unless positive."""
    if not temperature > 0:
        raise ValueError(f'temperature must be positive, got {temperature}')


def _vote(labels_QK: Tensor, weights_QK: Tensor, num_classes: int) -> Tensor:
    votes_QC = weights_QK.new_zeros(len(labels_QK), num_classes)
    return votes_QC.scatter_add(1, labels_QK, weights_QK).argmax(dim=1)
