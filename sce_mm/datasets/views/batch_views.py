"""Make the views of a batch on the model's device from packed parameters.

A worker packs the numbers of a view into a row, which travels with the image;
the device makes the views of all images of the batch from their rows.

A row holds the size of the view, top, left, height and width of the crop, and
eight steps in the order of application, each as the number of an operation of
``_STEPS`` (0 for none) and its value: four of the jitter in the order that was
drawn, then grey, blur, solarise and flip.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from . import batch_ops
from .image_ops import JITTER
from .view_params import ViewParams

_STEPS = ('nothing', *batch_ops.OPERATIONS)
# Columns: the size, the box, then pairs of operation and value.
_BOX = slice(1, 5)
_FIRST_STEP = 5
# The steps of the jitter, then grey, blur, solarise and flip.
_STEPS_OF_A_VIEW = len(JITTER) + 4
_ROW = _FIRST_STEP + 2 * _STEPS_OF_A_VIEW


def pack_params(params: Sequence[ViewParams], sizes: Sequence[int]) -> Tensor:
    """Rows ``[V, R]``, float64, of V views of one image and their sizes."""
    rows = []
    for view, size in zip(params, sizes, strict=True):
        row: list[float] = [size, *view.crop]
        for name, value in view.steps:
            row += (0, 0) if value is None else (_STEPS.index(name), value)
        rows.append(row)
    return torch.tensor(rows, dtype=torch.float64)


# Boxes are different for each image: compiled code would be made again.
@torch.compiler.disable
@torch.no_grad()
def make_views(
    images: Sequence[Tensor] | Tensor, params: Sequence[Tensor] | Tensor
) -> list[Tensor]:
    """V views ``[N, 3, size, size]`` of N images.

    The host reads the parameters, which lie in its memory, and nothing of
    the device; operations run in float32 under autocast as well.

    Args:
        images: N images [3, h, w] uint8 BGR on the device that makes the
            views.
        params: Rows [V, R] of :func:`pack_params` of each image, on the
            host.

    Returns:
        Float32 levels from 0 to 255, not rounded, BGR.
    """
    rows_NVR = torch.stack(list(params))
    device = images[0].device
    on_device_NVR = rows_NVR.float().to(device, non_blocking=True)
    with torch.autocast(device.type, enabled=False):
        return [
            _make_view(images, rows_NVR[:, view], on_device_NVR[:, view])
            for view in range(rows_NVR.shape[1])
        ]


def _make_view(
    images: Sequence[Tensor] | Tensor, rows_NR: Tensor, on_device_NR: Tensor
) -> Tensor:
    rows = rows_NR.tolist()
    boxes = [[int(number) for number in row[_BOX]] for row in rows]
    view = batch_ops.resized_crops(images, boxes, int(rows[0][0]))
    for column in range(_FIRST_STEP, _ROW, 2):
        steps = [int(row[column]) for row in rows]
        for step in sorted(set(steps) - {0}):
            samples = [i for i, other in enumerate(steps) if other == step]
            index = torch.tensor(samples).to(view.device, non_blocking=True)
            values = on_device_NR[index, column + 1]
            operation = batch_ops.OPERATIONS[_STEPS[step]]
            view.index_copy_(0, index, operation(view[index], values))
    return view
