"""Softmax of rows over all candidates, in one piece or in chunks.

Legend of shapes as in :mod:`~sce_mm.models.losses.functional`: N rows, C
candidates, D width. For rows r_i and candidates c_j, with t the temperature::

    log Z_i = log sum_j exp(r_i.c_j / t)              N numbers
    m_i     = sum_j exp(r_i.c_j / t) c_j / Z_i        N vectors

m_i is the centroid of the candidates under the softmax of row i. It is what
the target needs of a relation, and as ``d log Z_i / d r_i = m_i / t`` it is
also the gradient of the prediction.

``chunk_size`` says how: None is the plain form, in which all similarities
``[N, C]`` exist at once. With ``'auto'`` or a number of candidates both sums
go over the candidates a chunk at a time, and the gradient is formed on the
way forward: a loop over chunks under autograd would save no memory, and
recomputing in the backward pass would take three matrix products, not two.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import normalize

ChunkSize = int | Literal['auto'] | None

# Unit rows give exponents within 1 / t of zero. Up to this bound the sum over
# any queue stays far inside float32 on both sides (e^40 = 2e17) and needs no
# shift, even if rounding left the rows longer than one.
_SAFE_EXPONENT = 40.0
# Scores of a chunk. On a CPU they fit the cache that the cores share; still
# smaller ones would be as fast on one core, but several would wait for one
# another at the end of each. Elsewhere they are enough to fill the device.
_CPU_SCORES = 2**20
_DEVICE_SCORES = 2**24
_SMALLEST_CHUNK = 512


class Softmax(NamedTuple):
    """The softmax of each row over candidates.

    Attributes:
        log_z: Log of its denominator, ``[N]``.
        centroid: Mean of the candidates under it, ``[N, D]``.
    """

    log_z: Tensor
    centroid: Tensor


def _similarities(
    rows: Tensor, candidates: Tensor, own: Tensor | None = None
) -> Tensor:
    """Dot products ``[N, C]``, each row's ``own`` column at minus infinity."""
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
    """Softmax of each key over the candidates but its positive ``own``."""
    keys = at_least_float32(keys)
    if chunk_size is None:
        logits = _similarities(keys, candidates, own) / target_temperature
        log_z = logits.logsumexp(dim=1)
        weights = torch.exp(logits - log_z[:, None])
        return Softmax(log_z, weights @ at_least_float32(candidates))
    return _accumulate(keys, candidates, target_temperature, own, chunk_size)


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
        logits = _similarities(queries, candidates, own) / temperature
        return logits.logsumexp(dim=1)
    queries = at_least_float32(queries)
    return _LogPartition.apply(
        queries, candidates, temperature, own, chunk_size
    )


def at_least_float32(x: Tensor) -> Tensor:
    """Half precision to float32; float32 and float64 stay as they are."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def unit_rows(x: Tensor) -> Tensor:
    """L2-normalised rows of ``[N, D]``, at least float32.

    Autocast leaves half precision to what a layer returns. Normalised in it,
    rows are off by up to 4e-3, which a temperature of 0.05 makes 0.1.
    """
    return normalize(at_least_float32(x), dim=1)


def product(rows: Tensor, columns: Tensor) -> Tensor:
    """``rows @ columns.T`` of ``[N, D]`` and ``[C, D]``.

    On CPUs in float32 by oneDNN, through the operator that the compiler of
    torch uses. *Measured* on an AMD EPYC: with MKL, which torch takes by
    itself, loss and gradient take 1.1 to 1.5 times as long.
    """
    if (
        rows.device.type == 'cpu'
        and rows.dtype is torch.float32
        and torch.backends.mkldnn.is_available()
    ):
        linear = torch.ops.mkldnn._linear_pointwise
        return linear(rows, columns, None, 'none', [], '')
    return rows @ columns.T


def _accumulate(
    rows: Tensor,
    candidates: Tensor,
    temperature: float,
    own: Tensor | None,
    chunk_size: int | Literal['auto'],
    with_centroid: bool = True,
) -> Softmax:
    """The softmax of rows, a chunk of candidates at a time, no gradient.

    Args:
        rows: ``[N, D]``, L2-normalised, at least float32.
        candidates: ``[C, D]``, L2-normalised; each chunk is converted to the
            type of the rows.
        temperature: Divides the similarities.
        own: ``[N]`` int64, the candidate that row i leaves out, or None.
        chunk_size: Number of candidates in a chunk.
        with_centroid: Without it zeros come back and half of the work is
            saved.
    """
    if chunk_size == 'auto':
        on_cpu = rows.device.type == 'cpu'
        scores_of_chunk = _CPU_SCORES if on_cpu else _DEVICE_SCORES
        size = max(_SMALLEST_CHUNK, scores_of_chunk // max(1, len(rows)))
    else:
        size = chunk_size
    rows = rows / temperature
    shifted = 1 / temperature > _SAFE_EXPONENT
    peak = rows.new_zeros(len(rows), 1)
    if shifted:
        # Finite, so that a chunk with nothing but masked columns gives zero.
        peak.fill_(torch.finfo(rows.dtype).min)
    total = torch.zeros_like(peak)
    centroid = torch.zeros_like(rows)
    for start in range(0, len(candidates), size):
        chunk = candidates[start : start + size].to(rows.dtype)
        scores = product(rows, chunk)
        if own is not None:
            columns = torch.arange(len(chunk), device=rows.device) + start
            scores.masked_fill_(own[:, None] == columns, float('-inf'))
        if shifted:
            higher = torch.maximum(peak, scores.amax(dim=1, keepdim=True))
            fade = (peak - higher).exp_()
            total *= fade
            centroid *= fade
            scores -= higher
            peak = higher
        scores.exp_()
        total += scores.sum(dim=1, keepdim=True)
        if with_centroid:
            centroid += product(scores, chunk.T)
        del scores  # Or those of two chunks would exist at once.
    log_z = total.log() + peak
    return Softmax(log_z[:, 0], centroid.div_(total))


class _LogPartition(torch.autograd.Function):
    """Log Z of rows among candidates; only the rows have a gradient."""

    @staticmethod
    def forward(
        ctx: Any,
        rows: Tensor,
        candidates: Tensor,
        temperature: float,
        own: Tensor | None,
        chunk_size: int | Literal['auto'],
    ) -> Tensor:
        log_z, centroid = _accumulate(
            rows,
            candidates,
            temperature,
            own,
            chunk_size,
            with_centroid=ctx.needs_input_grad[0],
        )
        ctx.temperature = temperature
        ctx.save_for_backward(centroid)
        return log_z

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """``d log Z / d rows = centroid / temperature``."""
        (centroid,) = ctx.saved_tensors
        rows_grad = centroid * (grad / ctx.temperature)[:, None]
        return rows_grad, None, None, None, None
