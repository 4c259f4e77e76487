"""Exact nearest neighbours by cosine similarity.

Legend: M bank entries, Q queries, D features, K neighbours.
"""

import math
from collections.abc import Iterator
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ..utils.progress import track

# Rows of the bank that are compared at a time: with 256 queries, 128 MB.
BANK_BLOCK = 65536
# Entries beyond k that are compared exactly: with fewer the search is not as
# often sure of itself, with more it takes longer.
SPARE = 32
# Indices and similarities [Q, K] of what was looked at.
_Found = tuple[Tensor, Tensor]


class _Block:
    """Rows [M, D] of the bank; in float64 once, and only if it is needed."""

    def __init__(self, rows: Tensor) -> None:
        self.rows = rows

    @cached_property
    def exact(self) -> Tensor:
        return self.rows.double()


def nearest(
    bank: Tensor, queries: Tensor, k: int, chunk_size: int = 256
) -> tuple[Tensor, Tensor]:
    """The k bank entries of largest cosine similarity to each query.

    Sums are formed in float64 and rounded to float32, so that equal entries
    have equal similarities whatever the chunk they are computed in; of equal
    similarities the lower index comes first. Sums in float32, which are
    faster, choose the entries for which that is done, where their largest
    possible error proves that no other entry could be among the nearest.

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
    queries_QD = normalize(queries.float(), dim=1)
    chunks = queries_QD.split(chunk_size)
    found: list[_Found | None] = [None] * len(chunks)
    with torch.autocast(bank.device.type, enabled=False):
        steps = (
            (start, block, i)
            for start, block in _blocks(bank_MD)
            for i in range(len(chunks))
        )
        total = math.ceil(len(bank_MD) / BANK_BLOCK) * len(chunks)
        for start, block, i in track(steps, 'Neighbours', total):
            found[i] = _nearest_so_far(found[i], start, block, chunks[i], k)
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
    best: _Found | None, start: int, block: _Block, chunk: Tensor, k: int
) -> _Found:
    indices, values = _nearest_in_block(block, chunk, min(k, len(block.rows)))
    indices = indices + start
    if best is None:
        return indices, values
    # Earlier blocks first: among equals they have the lower index.
    indices = torch.cat([best[0], indices], dim=1)
    values = torch.cat([best[1], values], dim=1)
    order, values = _top(values, min(k, values.shape[1]))
    return indices.gather(1, order), values


def _nearest_in_block(block: _Block, chunk_QD: Tensor, k: int) -> _Found:
    block_MD = block.rows
    count = min(k + SPARE, len(block_MD))
    rough_QC, columns_QC = (chunk_QD @ block_MD.T).topk(count, dim=1)
    # Lower columns first, and a stable sort keeps them so among equals.
    columns_QC = columns_QC.sort(dim=1).values
    exact_QC = torch.bmm(
        block_MD[columns_QC].double(), chunk_QD.double()[:, :, None]
    )
    values, order = (
        exact_QC[..., 0].float().sort(dim=1, descending=True, stable=True)
    )
    columns, values = columns_QC.gather(1, order)[:, :k], values[:, :k]
    if count < len(block_MD):
        unsure = _unsure(rough_QC, k, chunk_QD.shape[1])
        if unsure.any():
            exact = chunk_QD[unsure].double() @ block.exact.T
            columns[unsure], values[unsure] = _top(exact.float(), k)
    return columns, values


def _unsure(rough_QC: Tensor, k: int, width: int) -> Tensor:
    """Queries [Q] for which an entry that was left out could be nearer.

    A sum of D products of unit vectors in float32 is off by at most D u, u =
    2^-24, whatever its order: that of an entry left out, and that of each of
    the k best. Some u more are for the rounding of exact sums, a hundredth for
    terms of second order. Where matrices are multiplied in less than float32,
    no query is sure.

    Args:
        rough_QC: Largest sums in float32, descending; C > k.
        k: Number of neighbours.
        width: D.
    """
    if torch.get_float32_matmul_precision() != 'highest':
        return torch.ones_like(rough_QC[:, 0], dtype=torch.bool)
    slack = (2.02 * width + 4) * 2.0**-24
    return rough_QC[:, -1] >= rough_QC[:, k - 1] - slack


def _blocks(bank_MD: Tensor) -> Iterator[tuple[int, _Block]]:
    for start in range(0, len(bank_MD), BANK_BLOCK):
        yield start, _Block(bank_MD[start : start + BANK_BLOCK])


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
