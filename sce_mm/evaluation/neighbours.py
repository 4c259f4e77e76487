"""Exact nearest neighbours by cosine similarity.

Legend: M bank entries, Q queries, D features, K neighbours.
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import normalize

# Rows of the bank that are compared at a time: with 256 queries, 128 MB.
BANK_BLOCK = 65536
# Indices and similarities [Q, K] of what was looked at.
_Found = tuple[Tensor, Tensor]


def nearest(
    bank: Tensor, queries: Tensor, k: int, chunk_size: int = 256
) -> tuple[Tensor, Tensor]:
    """The k bank entries of largest cosine similarity to each query.

    Sums are formed in float64 and rounded to float32, so that equal entries
    have equal similarities whatever the chunk they are computed in; of equal
    similarities the lower index comes first.

    Args:
        bank: ``[M, D]``, any norm.
        queries: ``[Q, D]``, any norm, on the device of the bank.
        k: Number of neighbours, at most M.
        chunk_size: Queries at a time.

    Returns:
        Indices into the bank ``[Q, k]`` and similarities ``[Q, k]``,
        float32, descending.

    Raises:
        ValueError: Shapes do not fit, k is out of range, or a feature is not
            finite.
    """
    _check_features(bank, queries)
    check_bank_size(len(bank), k)
    bank_MD = normalize(bank.float(), dim=1)
    queries_QD = normalize(queries.float(), dim=1).double()
    chunks = queries_QD.split(chunk_size)
    found: list[_Found | None] = [None] * len(chunks)
    # Blocks outside: each is turned to float64 once, whatever the queries.
    for start, block_MD in _blocks(bank_MD):
        for i, chunk_QD in enumerate(chunks):
            found[i] = _nearest_so_far(found[i], start, block_MD, chunk_QD, k)
    indices, similarities = zip(*filter(None, found), strict=True)
    return torch.cat(indices), torch.cat(similarities)


def check_bank_size(size: int, k: int) -> None:
    """Raise ValueError if a bank of this size has no k neighbours."""
    if not 1 <= k <= size:
        raise ValueError(
            f'k = {k} neighbours cannot be taken from a bank of {size}: '
            'use a smaller k or more labelled images'
        )


def _check_features(bank: Tensor, queries: Tensor) -> None:
    shapes = list(bank.shape), list(queries.shape)
    if (
        bank.ndim != 2
        or queries.ndim != 2
        or bank.shape[1:] != queries.shape[1:]
    ):
        raise ValueError(
            'bank [M, D] and queries [Q, D] must have the same width, got '
            f'{shapes[0]} and {shapes[1]}'
        )
    for name, features in (('bank', bank), ('queries', queries)):
        if not torch.isfinite(features).all():
            raise ValueError(
                f'features of the {name} are not finite: the network has '
                'diverged'
            )


def _nearest_so_far(
    best: _Found | None, start: int, block: Tensor, chunk: Tensor, k: int
) -> _Found:
    similarities = (chunk @ block.T).float()
    indices, values = _top(similarities, min(k, len(block)))
    indices = indices + start
    if best is None:
        return indices, values
    # Earlier blocks first: among equals they have the lower index.
    indices = torch.cat([best[0], indices], dim=1)
    values = torch.cat([best[1], values], dim=1)
    order, values = _top(values, min(k, values.shape[1]))
    return indices.gather(1, order), values


def _blocks(bank_MD: Tensor) -> Iterator[tuple[int, Tensor]]:
    for start in range(0, len(bank_MD), BANK_BLOCK):
        yield start, bank_MD[start : start + BANK_BLOCK].double()


def _top(similarities: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Columns of the k largest of each row, lower columns first of equals."""
    values, columns = similarities.topk(k, dim=1)
    # topk may take any of the entries that equal the last one taken.
    reached = (similarities >= values[:, -1:]).sum(dim=1)
    for row in (reached > k).nonzero().flatten():
        order = similarities[row].sort(descending=True, stable=True).indices
        columns[row] = order[:k]
    columns = columns.sort(dim=1).values
    values, order = similarities.gather(1, columns).sort(
        dim=1, descending=True, stable=True
    )
    return columns.gather(1, order), values
