"""Compare all queries and keys of a step with its candidates, each once.

Legend of shapes as in :mod:`~sce_mm.models.losses.functional`. A key meets
the candidates once, whatever the number of queries that it teaches; a query
meets the queue once, whatever the number of keys that it learns from.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .functional import Relation, relate
from .softmax import ChunkSize, Softmax, attend, log_partition


class Candidates(NamedTuple):
    """What the images of a step are compared with, see ``SCELoss.forward``.

    Attributes:
        own: ``[N]`` int64, the row of ``batch_keys`` that is image i's own
            key and so no candidate of it; None without ``batch_keys``.
    """

    queue: Tensor | None
    batch_keys: Sequence[Tensor] | None
    own: Tensor | None


def relate_views(
    keys: Sequence[Tensor],
    candidates: Candidates,
    target_temperature: float,
    zero_logit: bool,
    chunk_size: ChunkSize,
) -> list[Relation]:
    """Relation of the keys ``[N, D]`` of each target view, see ``relate``."""
    parts: list[list[Softmax]] = [[] for _ in keys]
    if candidates.queue is not None:
        # The keys of all views meet the queue at once.
        softmax = attend(
            torch.cat(list(keys)),
            candidates.queue,
            target_temperature,
            chunk_size=chunk_size,
        )
        views = zip(*(x.chunk(len(keys)) for x in softmax), strict=True)
        parts = [[Softmax(*part)] for part in views]
    for view, rows in enumerate(candidates.batch_keys or ()):
        part = attend(
            keys[view], rows, target_temperature, candidates.own, chunk_size
        )
        parts[view].append(part)
    return [
        relate(key, part, target_temperature, zero_logit)
        for key, part in zip(keys, parts, strict=True)
    ]


def log_partitions(
    queries: Sequence[Tensor],
    pairs: Sequence[tuple[int, int]],
    candidates: Candidates,
    temperature: float,
    chunk_size: ChunkSize,
) -> Tensor:
    """Log of the candidates' part of Z, ``[N]`` for each pair in turn.

    With a gradient to the queries.
    """
    parts = []
    if candidates.queue is not None:
        by_query = log_partition(
            torch.cat(list(queries)),
            candidates.queue,
            temperature,
            chunk_size=chunk_size,
        ).chunk(len(queries))
        parts.append(torch.cat([by_query[i] for i, _ in pairs]))
    if candidates.batch_keys is not None:
        own, rows = candidates.own, candidates.batch_keys
        by_pair = [
            log_partition(queries[i], rows[j], temperature, own, chunk_size)
            for i, j in pairs
        ]
        parts.append(torch.cat(by_pair))
    return torch.stack(parts).logsumexp(dim=0)
