"""A softmax over many candidates in the memory of a few.

For rows r_i and candidates c_j, with t the temperature::

    log Z_i = log sum_j exp(r_i.c_j / t)              N numbers
    m_i     = sum_j exp(r_i.c_j / t) c_j / Z_i        N vectors

m_i is the centroid of the candidates under the softmax of row i. It is what
the target needs of a relation, and as ``d log Z_i / d r_i = m_i / t`` it is
also the gradient of the prediction. Both sums go over the candidates a chunk
at a time and nothing of size rows x candidates ever exists; the gradient is
formed on the way forward, so that going backward costs nothing. A loop over
chunks under autograd would save no memory, since autograd keeps every chunk.

Recomputing in the backward pass would read the candidates twice and take
three matrix products instead of two.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# Unit rows give exponents within 1 / t of zero. Up to this bound the sum over
# any queue stays far inside float32 on both sides (e^40 = 2e17) and needs no
# shift, even if rounding left the rows longer than one.
SAFE_EXPONENT = 40.0
# Scores of a chunk. On a CPU they fit the cache that the cores share; still
# smaller ones would be as fast on one core, but several would wait for one
# another at the end of each. Elsewhere they are enough to fill the device.
CPU_SCORES = 2**20
DEVICE_SCORES = 2**24
SMALLEST_CHUNK = 512


def automatic_chunk_size(rows: Tensor) -> int:
    """Candidates in a chunk for rows ``[N, D]``."""
    scores = CPU_SCORES if rows.device.type == 'cpu' else DEVICE_SCORES
    return max(SMALLEST_CHUNK, scores // max(1, len(rows)))


def accumulate(
    rows: Tensor,
    candidates: Tensor,
    temperature: float,
    own: Tensor | None,
    chunk_size: int,
    with_centroid: bool = True,
) -> tuple[Tensor, Tensor]:
    """Log Z and centroid of the module's docstring, without gradient.

    Args:
        rows: ``[N, D]``, L2-normalised, at least float32.
        candidates: ``[C, D]``, L2-normalised; each chunk is converted to the
            type of the rows.
        temperature: Divides the similarities.
        own: ``[N]`` int64, the candidate that row i leaves out, or None.
        chunk_size: Candidates in a chunk.
        with_centroid: If false, the centroid comes back as zeros and half of
            the work is saved.

    Returns:
        ``[N]`` and ``[N, D]``.
    """
    rows = rows / temperature
    shifted = 1 / temperature > SAFE_EXPONENT
    peak = rows.new_zeros(len(rows), 1)
    if shifted:
        # Finite, so that a chunk with nothing but masked columns gives zero.
        peak.fill_(torch.finfo(rows.dtype).min)
    total = torch.zeros_like(peak)
    centroid = torch.zeros_like(rows)
    for start in range(0, len(candidates), chunk_size):
        chunk = candidates[start : start + chunk_size].to(rows.dtype)
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
    return log_z[:, 0], centroid.div_(total)


def product(rows: Tensor, columns: Tensor) -> Tensor:
    """``rows @ columns.T`` of ``[N, D]`` and ``[C, D]``.

    On CPUs in float32 by oneDNN, through the operator that the compiler of
    torch uses: *measured* a fifth faster than MKL, which torch takes by
    itself, on an AMD EPYC.
    """
    if (
        rows.device.type == 'cpu'
        and rows.dtype is torch.float32
        and torch.backends.mkldnn.is_available()
    ):
        linear = torch.ops.mkldnn._linear_pointwise
        return linear(rows, columns, None, 'none', [], '')
    return rows @ columns.T


class LogPartition(torch.autograd.Function):
    """Log Z of rows among candidates; only the rows have a gradient.

    ``LogPartition.apply(rows, candidates, temperature, own, chunk_size)``,
    arguments as in :func:`accumulate`. It can be differentiated once.
    """

    @staticmethod
    def forward(
        ctx: Any,
        rows: Tensor,
        candidates: Tensor,
        temperature: float,
        own: Tensor | None,
        chunk_size: int,
    ) -> Tensor:
        """``[N]``."""
        log_z, centroid = accumulate(
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
