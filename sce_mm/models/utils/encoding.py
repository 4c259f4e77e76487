"""Encode images, and on request places in them, in one forward pass.

Both branches do this, the online and the momentum one.
"""

import torch
from torch import Tensor, nn

from .correspondence import Lattice, sample


def encode(
    backbone: nn.Module,
    neck: nn.Module,
    images: Tensor,
    dense_neck: nn.Module | None = None,
    pyramid: nn.Module | None = None,
    level: int = -1,
    points: Lattice | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Project images and the places of a lattice in them.

    The features of a place are those of one output of the backbone or, with
    a pyramid of L maps F, their mean ``1/L sum_l F_l(place)``. Each map is
    interpolated at the place itself, so maps of any size go together, and
    every level is trained.

    Args:
        backbone: ``[N, 3, h, w]`` to one feature map or several.
        neck: Projector of the last output.
        images: ``[N, 3, h, w]``.
        dense_neck: Projector of places, rows ``[N P, C]``.
        pyramid: Outputs of the backbone to maps of C channels each.
        level: Output of the backbone that places are taken from if there is
            no pyramid.
        points: P places of each image, or None.

    Returns:
        Embeddings ``[N, D]``; and of places ``[N, P, D']``, None without
        points.
    """
    outputs = backbone(images)
    several = not isinstance(outputs, Tensor)
    (embedding,) = neck(outputs[-1:] if several else outputs)
    if points is None or dense_neck is None:
        return embedding, None
    if pyramid is not None:
        maps = pyramid(outputs)
    else:
        maps = [outputs[level] if several else outputs]
    levels = [sample(features, points) for features in maps]
    places = torch.stack(levels).mean(dim=0)
    (projected,) = dense_neck((places.flatten(0, 1),))
    return embedding, projected.unflatten(0, places.shape[:2])
