"""Make the views of a batch from images and drawn parameters, on any device.

What :func:`apply_params` does with one image on a CPU.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from . import batch_ops
from .view_tensors import BOX, FIRST_STEP, ROW, STEPS


# Boxes are different for each image: compiled code would be made anew.
@torch.compiler.disable
@torch.no_grad()
def make_views(
    images: Sequence[Tensor] | Tensor, params: Sequence[Tensor] | Tensor
) -> list[Tensor]:
    """V views ``[N, 3, size, size]`` of N images.

    The host reads the parameters, which lie in its memory, and nothing of
    the device; operations run in float32 under autocast as well.

    Args:
        images: N images [3, h, w] uint8 BGR on the device that shall work.
        params: Of each image, rows [V, 21] of :func:`pack_params`, on the
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
    boxes = [[int(number) for number in row[BOX]] for row in rows]
    view = batch_ops.resized_crops(images, boxes, int(rows[0][0]))
    for name, samples, column in _steps(rows):
        index = torch.tensor(samples).to(view.device, non_blocking=True)
        values = on_device_NR[index, column]
        changed = batch_ops.OPERATIONS[name](view[index], values)
        view.index_copy_(0, index, changed)
    return view


def _steps(rows: list[list[float]]) -> Iterator[tuple[str, list[int], int]]:
    """Operation, the samples that it is for, and the column of its values."""
    for column in range(FIRST_STEP, ROW, 2):
        operations = [int(row[column]) for row in rows]
        for operation in sorted(set(operations) - {0}):
            samples = [i for i, o in enumerate(operations) if o == operation]
            yield STEPS[operation], samples, column + 1
