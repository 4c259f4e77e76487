"""Parameters of views as a tensor, to travel with the image they are for.

A row holds the size of the view, top, left, height and width of the crop, and
eight steps in the order of application, each as the number of an operation of
``STEPS`` (0 for none) and its value: four of the jitter in the order that was
drawn, then grey, blur, solarise and flip.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .image_ops import JITTER
from .view_params import ViewParams

STEPS = ('nothing', *JITTER, 'grey', 'blur', 'solarise', 'flip')
# Columns: the size, the box, then pairs of operation and value.
BOX = slice(1, 5)
FIRST_STEP = 5
_SLOTS = 8
ROW = FIRST_STEP + 2 * _SLOTS


def pack_params(params: Sequence[ViewParams], sizes: Sequence[int]) -> Tensor:
    """Rows ``[V, 21]``, float64, of the V views of one image.

    Args:
        params: What was drawn for each view.
        sizes: Height and width of each view, pixels.
    """
    rows = [
        [float(size), *map(float, view.crop), *_steps(view)]
        for view, size in zip(params, sizes, strict=True)
    ]
    return torch.tensor(rows, dtype=torch.float64)


def _steps(params: ViewParams) -> list[float]:
    nothing = [('nothing', 0.0)]
    jitter = [*params.jitter, *(4 - len(params.jitter)) * nothing]
    rest: list[tuple[str, float | None]] = [
        ('grey', 0.0 if params.grey else None),
        ('blur', params.blur_sigma),
        ('solarise', params.solarise_threshold),
        ('flip', 0.0 if params.flip else None),
    ]
    steps = jitter + [
        ('nothing', 0.0) if value is None else (name, float(value))
        for name, value in rest
    ]
    return [
        number
        for name, value in steps
        for number in (STEPS.index(name), value)
    ]
