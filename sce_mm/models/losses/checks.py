"""What a loss says to arguments that it cannot work with.

Legend of shapes as in :mod:`~sce_mm.models.losses.functional`.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

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
    """Check that the arguments of :meth:`SCELoss.forward` fit together.

    Raises:
        ValueError: They do not.
    """
    size, width = _check_views('queries', queries)
    _check_views('keys', keys, size, width)
    _check_pairs(pairs, len(queries), len(keys))
    if queue is not None:
        _check_candidates('queue', queue, width)
    if batch_keys is None:
        return
    if isinstance(batch_keys, Tensor) or len(batch_keys) != len(keys):
        raise ValueError(
            'batch_keys must be a list with one [M, D] for each of the '
            f'{len(keys)} tensors of keys, got {_told(batch_keys)}'
        )
    for rows in batch_keys:
        _check_candidates('batch_keys', rows, width)
        if not 0 <= first_row <= len(rows) - size:
            raise ValueError(
                f'first_row={first_row}: the {size} keys of this process '
                f'must lie within the {len(rows)} rows of batch_keys'
            )


def check_unit_rows(**arguments: Sequence[Tensor]) -> None:
    """Check that rows are L2-normalised.

    Rows of zeros, which normalisation leaves as they are, and rows that are
    not numbers pass. The host waits for the device of the rows.

    Args:
        **arguments: Tensors ``[N, D]`` under the name of their argument.

    Raises:
        ValueError: A row has another length than one.
    """
    for name, tensors in arguments.items():
        for rows in tensors:
            lengths = torch.linalg.vector_norm(
                at_least_float32(rows.detach()), dim=1
            )
            # NumPy shares the memory of a CPU tensor.
            lengths = lengths.cpu().numpy()
            wrong = (abs(lengths - 1) > _LENGTH_TOLERANCE) & (lengths > 0)
            if wrong.any():
                raise ValueError(
                    f'{name} must be L2-normalised, but a row has length '
                    f'{lengths[wrong][0]:.4g}: pass '
                    'torch.nn.functional.normalize(rows, dim=1)'
                )


def _check_views(
    name: str,
    views: Sequence[Tensor],
    size: int | None = None,
    width: int | None = None,
) -> tuple[int, int]:
    """Check that all are ``[N, D]``; give N and D."""
    if isinstance(views, Tensor) or not views:
        raise ValueError(
            f'{name} must be a list with one tensor [N, D] for each view, '
            f'got {_told(views)}'
        )
    for rows in views:
        if not isinstance(rows, Tensor) or rows.ndim != 2:
            raise ValueError(
                f'{name} must be tensors [N, D], one for each view, got '
                f'{_told(rows)}'
            )
        size = len(rows) if size is None else size
        width = rows.shape[1] if width is None else width
        if rows.shape != (size, width):
            raise ValueError(
                f'{name} must have the shape of the first queries, '
                f'{[size, width]}, got {_told(rows)}'
            )
    assert size is not None
    assert width is not None
    return size, width


def _check_pairs(
    pairs: Sequence[tuple[int, int]], num_queries: int, num_keys: int
) -> None:
    if isinstance(pairs, Tensor) or not pairs:
        raise ValueError(
            'pairs must be a list of positions in queries and keys, such as '
            f'[(0, 0)], got {_told(pairs)}; candidates are given by name, '
            'queue=...'
        )
    for pair in pairs:
        if (
            not isinstance(pair, tuple | list)
            or len(pair) != 2
            or not all(isinstance(index, int) for index in pair)
            or not 0 <= pair[0] < num_queries
            or not 0 <= pair[1] < num_keys
        ):
            raise ValueError(
                f'pairs: {pair} must be the positions of a query and of a '
                f'key, from (0, 0) to ({num_queries - 1}, {num_keys - 1})'
            )


def _check_candidates(name: str, rows: Tensor, width: int) -> None:
    if (
        not isinstance(rows, Tensor)
        or rows.ndim != 2
        or rows.shape[1] != width
        or not len(rows)
    ):
        raise ValueError(
            f'{name} must have a key in each row, as wide as the queries '
            f'([..., {width}]), got {_told(rows)}'
        )


def _told(value: object) -> str:
    """Shape or content of a wrong argument."""
    if isinstance(value, Tensor):
        return f'a tensor of shape {list(value.shape)}'
    if isinstance(value, list | tuple):
        return f'a list of {len(value)}'
    return f'a {type(value).__name__}'
