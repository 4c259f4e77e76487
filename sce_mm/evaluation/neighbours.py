"""Exact nearest neighbours by cosine similarity.

Legend: M bank entries, Q queries, D features, K neighbours.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ..utils.errors import UserError
from ..utils.progress import track

# Rows of the bank that are compared at a time: with 2048 features in float64
# they take 256 MB.
BANK_BLOCK = 16384


def nearest(
    bank: Tensor, queries: Tensor, k: int, chunk_size: int = 256
) -> tuple[Tensor, Tensor]:
    """The k bank entries of largest cosine similarity to each query.

    Sums are formed in float64 and rounded to float32, so that equal entries
    have equal similarities whatever the chunk they are computed in. Of equal
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
        UserError: Shapes do not fit, k is out of range, or a feature is not
            finite.

    >>> nearest(torch.eye(3), torch.tensor([[3.0, 4.0, 0.0]]), k=2)
    (tensor([[1, 0]]), tensor([[0.8000, 0.6000]]))
    """
    if (bank.ndim, queries.ndim) != (2, 2) or (
        bank.shape[1] != queries.shape[1]
    ):
        raise UserError(
            'bank [M, D] and queries [Q, D] must have the same width, got '
            f'{list(bank.shape)} and {list(queries.shape)}'
        )
    for name, features in (('bank', bank), ('queries', queries)):
        if not torch.isfinite(features).all():
            raise UserError(
                f'features of the {name} are not finite: the network has '
                'diverged'
            )
    check_bank_size(len(bank), k)
    blocks = normalize(bank.float(), dim=1).split(BANK_BLOCK)
    chunks = normalize(queries.float(), dim=1).double().split(chunk_size)
    # Indices and similarities of what was looked at, chunk by chunk.
    found = [
        (
            torch.empty(len(chunk), 0, dtype=torch.long, device=bank.device),
            torch.empty(len(chunk), 0, device=bank.device),
        )
        for chunk in chunks
    ]
    starts = range(0, len(bank), BANK_BLOCK)
    steps = (
        (start, block, i)
        for start, block in zip(
            starts, map(Tensor.double, blocks), strict=True
        )
        for i in range(len(chunks))
    )
    total = math.ceil(len(bank) / BANK_BLOCK) * len(chunks)
    with torch.autocast(bank.device.type, enabled=False):
        for start, block, i in track(steps, 'Neighbours', total):
            columns, values = _top((chunks[i] @ block.T).float(), k)
            # Earlier blocks first: among equals they have the lower index.
            indices = torch.cat([found[i][0], columns + start], dim=1)
            order, values = _top(torch.cat([found[i][1], values], dim=1), k)
            found[i] = indices.gather(1, order), values
    all_indices, similarities = zip(*found, strict=True)
    return torch.cat(all_indices), torch.cat(similarities)


def check_bank_size(size: int, k: int) -> None:
    """Raise UserError if a bank of this size has no k neighbours."""
    if not 1 <= k <= size:
        raise UserError(
            f'k = {k} neighbours cannot be taken from a bank of {size}: '
            'use a smaller k or more labelled images'
        )


def _top(similarities: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Columns of the k largest of each row, lower columns first of equals."""
    k = min(k, similarities.shape[1])
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
