"""Softmax of rows over candidates: the sums that meet the whole queue.

Legend of shapes as in :mod:`~sce_mm.models.losses.functional`: N rows, C
candidates, D width. ``chunk_size`` says how: None is the plain form, in which
all similarities ``[N, C]`` exist at once; ``'auto'`` or a number of candidates
is the same result in the memory of one chunk
(:mod:`~sce_mm.models.losses.chunked`).
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from .chunked import LogPartition, accumulate, automatic_chunk_size

ChunkSize = int | Literal['auto'] | None


class Softmax(NamedTuple):
    """What a softmax over candidates comes to for each row.

    Attributes:
        log_z: Log of its denominator, ``[N]``.
        centroid: Mean of the candidates under it, ``[N, D]``.
    """

    log_z: Tensor
    centroid: Tensor


def similarities(
    rows: Tensor, candidates: Tensor, own: Tensor | None = None
) -> Tensor:
    """Dot products, with each row's own column at minus infinity.

    Args:
        rows: ``[N, D]``.
        candidates: ``[C, D]``.
        own: ``[N]`` int64, the candidate that is row i's positive, if the
            positives are among the candidates.

    Returns:
        ``[N, C]``, at least float32.
    """
    scores = at_least_float32(rows) @ at_least_float32(candidates).T
    if own is None:
        return scores
    return scores.scatter(1, own[:, None], float('-inf'))


@torch.no_grad()
def attend(
    keys: Tensor,
    candidates: Tensor,
    target_temperature: float,
    own: Tensor | None = None,
    chunk_size: ChunkSize = None,
) -> Softmax:
    """Softmax of each key over the candidates, its positive excluded.

    Args:
        keys: ``[N, D]``.
        candidates: ``[C, D]``.
        target_temperature: Divides the similarities of the target branch.
        own: See :func:`similarities`.
        chunk_size: See the head of the module.
    """
    keys = at_least_float32(keys)
    if chunk_size is None:
        logits = similarities(keys, candidates, own) / target_temperature
        log_z = logits.logsumexp(dim=1)
        weights = torch.exp(logits - log_z[:, None])
        return Softmax(log_z, weights @ at_least_float32(candidates))
    size = _chunk(chunk_size, keys)
    return Softmax(
        *accumulate(keys, candidates, target_temperature, own, size)
    )


def merge(parts: Sequence[Softmax]) -> Softmax:
    """Softmax over the union of the candidates of each part."""
    log_z = torch.stack([part.log_z for part in parts])
    shares = log_z.softmax(dim=0)[..., None]
    centroids = torch.stack([part.centroid for part in parts])
    return Softmax(log_z.logsumexp(dim=0), (shares * centroids).sum(dim=0))


def log_partition(
    queries: Tensor,
    candidates: Tensor,
    temperature: float,
    own: Tensor | None = None,
    chunk_size: ChunkSize = None,
) -> Tensor:
    """``log sum_j exp(q.c_j / temperature)`` for each query, ``[N]``.

    With a gradient to the queries; in chunks, to nothing else.
    """
    if chunk_size is None:
        logits = similarities(queries, candidates, own) / temperature
        return logits.logsumexp(dim=1)
    queries = at_least_float32(queries)
    size = _chunk(chunk_size, queries)
    return LogPartition.apply(queries, candidates, temperature, own, size)


def at_least_float32(x: Tensor) -> Tensor:
    """Half precision to float32; float32 and float64 stay as they are."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def unit_rows(x: Tensor) -> Tensor:
    """L2-normalised rows of ``[N, D]``, at least float32.

    Autocast leaves half precision to what a layer returns. Normalised in it,
    rows are off by up to 4e-3, which a temperature of 0.05 makes 0.1.
    """
    return normalize(at_least_float32(x), dim=1)


def _chunk(chunk_size: int | Literal['auto'], rows: Tensor) -> int:
    return automatic_chunk_size(rows) if chunk_size == 'auto' else chunk_size
