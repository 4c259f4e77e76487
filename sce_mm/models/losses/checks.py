"""Check the arguments of a loss: shapes and unit rows.

Legend of shapes as in :mod:`~sce_mm.models.losses.functional`.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from ...utils.errors import UserError
from .softmax import at_least_float32

# Rows that were normalised in bfloat16 are within 0.5 %.
_LENGTH_TOLERANCE = 0.01


def check_shapes(
    queries: Sequence[Tensor],
    keys: Sequence[Tensor],
    pairs: Sequence[tuple[int, int]],
    queue: Tensor | None,
    batch_keys: Sequence[Tensor] | None,
    first_row: int,
) -> None:
    """Refuse arguments of :meth:`SCELoss.forward` that do not fit together."""
    for name, views in (('queries', queries), ('keys', keys)):
        if isinstance(views, Tensor) or not views:
            raise UserError(
                f'{name} must be a list with one tensor [N, D] for each view, '
                f'got {_describe(views)}'
            )
        first = queries[0].shape
        if len(first) != 2 or any(rows.shape != first for rows in views):
            raise UserError(
                f'{name} must have the shape [N, D] of the first queries, '
                f'{list(first)}, got {[list(rows.shape) for rows in views]}'
            )
    size, width = queries[0].shape
    known = {(i, j) for i in range(len(queries)) for j in range(len(keys))}
    if isinstance(pairs, Tensor) or not pairs or not known.issuperset(pairs):
        raise UserError(
            'pairs must be a list of positions in queries and keys, from '
            f'(0, 0) to {max(known)}, got {_describe(pairs)}; candidates are '
            'given by name, queue=...'
        )
    if batch_keys is not None and len(batch_keys) != len(keys):
        raise UserError(
            'batch_keys must be a list with one [M, D] for each of the '
            f'{len(keys)} tensors of keys, got {len(batch_keys)}'
        )
    named = [('batch_keys', rows) for rows in batch_keys or ()]
    for name, rows in [*named, *([] if queue is None else [('queue', queue)])]:
        if getattr(rows, 'shape', ())[1:] != (width,) or not len(rows):
            raise UserError(
                f'{name} must have a key in each row, as wide as the queries '
                f'([..., {width}]), got {_describe(rows)}'
            )
    for rows in batch_keys or ():
        if not 0 <= first_row <= len(rows) - size:
            raise UserError(
                f'first_row={first_row}: the {size} keys of this process '
                f'must lie within the {len(rows)} rows of batch_keys'
            )


def check_unit_rows(**arguments: Sequence[Tensor]) -> None:
    """Refuse rows that are not L2-normalised; ``[N, D]`` by argument.

    Rows of zeros, which normalisation leaves as they are, and rows that are
    not numbers pass. The host waits for the device of the rows.
    """
    for name, tensors in arguments.items():
        for rows in tensors:
            rows = at_least_float32(rows.detach())
            # NumPy shares the memory of a CPU tensor.
            lengths = torch.linalg.vector_norm(rows, dim=1).cpu().numpy()
            wrong = (abs(lengths - 1) > _LENGTH_TOLERANCE) & (lengths > 0)
            if wrong.any():
                raise UserError(
                    f'{name} must be L2-normalised, but a row has length '
                    f'{lengths[wrong][0]:.4g}: pass '
                    'torch.nn.functional.normalize(rows, dim=1)'
                )


def _describe(value: object) -> str:
    """The shape of a tensor, or how a short value is written."""
    if isinstance(value, Tensor):
        return f'a tensor of shape {list(value.shape)}'
    return f'{value!r:.80}'
