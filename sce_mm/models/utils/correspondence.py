"""Correspondence: where two views of an image show the same places.

Legend of shapes::

    N  images
    g  points along a side of a lattice, P = g^2 points of an image
    C  channels of a feature map of h x w cells

A box is what ``SCEViews`` says of a view: top, left, height and width of its
crop in pixels of the image, and 1 if it is mirrored, else 0. Pixel i covers
[i, i + 1], so places are real numbers. With b a box, a place (y, x) of the
image lies in the view at the shares ::

    v = (y - b.top) / b.height
    u = (x - b.left) / b.width,  in a mirrored view 1 - u

of its height and width, whatever the size that it was resized to. Cell j of w
covers [j / w, (j + 1) / w] of the width, its value stands at its centre, and
between centres values are interpolated (``align_corners=False``), as RoIAlign
of a detector does.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ..losses.softmax import at_least_float32


class Lattice(NamedTuple):
    """g x g points of each of N views: every row with every column.

    Attributes:
        rows: ``[N, g]``, shares v of the height of the view.
        columns: ``[N, g]``, shares u of its width.
    """

    rows: Tensor
    columns: Tensor


def shared_lattices(
    boxes: Tensor, others: Tensor, grid: int, min_overlap: float
) -> tuple[Lattice, Lattice, Tensor]:
    """Lattices over the intersection of two crops, as either view sees them.

    Where the crops have too little in common, each view gets a lattice over
    its own crop: points of real places, but of no shared ones.

    Args:
        boxes: ``[N, 5]`` of the one view of each image.
        others: ``[N, 5]`` of the other view.
        grid: g.
        min_overlap: Smallest share of the smaller crop that the intersection
            has to cover.

    Returns:
        The lattice of either view, and ``[N]``, 1 where their points show
        the same places and 0 where they do not.

    The right half of an image, and the whole of it mirrored:

    >>> right = torch.tensor([[0.0, 50, 100, 50, 0]])
    >>> whole = torch.tensor([[0.0, 0, 100, 100, 1]])
    >>> in_right, in_whole, shared = shared_lattices(right, whole, 2, 0.1)
    >>> in_right.columns.tolist(), in_whole.columns.tolist(), shared.tolist()
    ([[0.25, 0.75]], [[0.375, 0.125]], [1.0])
    """
    corner = torch.maximum(boxes[:, :2], others[:, :2])
    ends = torch.minimum(
        boxes[:, :2] + boxes[:, 2:4], others[:, :2] + others[:, 2:4]
    )
    sides = (ends - corner).clamp_min(0)
    area = sides.prod(dim=1)
    smaller = torch.minimum(boxes[:, 2:4].prod(1), others[:, 2:4].prod(1))
    shared = (area > 0) & (area >= min_overlap * smaller)
    common = torch.cat([corner, sides], dim=1)
    one, other = (
        lattice(torch.where(shared[:, None], common, box[:, :4]), box, grid)
        for box in (boxes, others)
    )
    return one, other, shared.to(boxes.dtype)


def lattice(areas: Tensor, boxes: Tensor, grid: int) -> Lattice:
    """A lattice over an area of the image, as a view of it sees the points.

    Args:
        areas: ``[N, 4]``, top, left, height and width in pixels of the image.
        boxes: ``[N, 5]``, of the views.
        grid: g; points are the centres of g x g equal parts of the area.
    """
    steps = torch.arange(grid, dtype=boxes.dtype, device=boxes.device)
    shares = (steps + 0.5) / grid
    y = areas[:, 0:1] + shares * areas[:, 2:3]
    x = areas[:, 1:2] + shares * areas[:, 3:4]
    rows = (y - boxes[:, 0:1]) / boxes[:, 2:3]
    columns = (x - boxes[:, 1:2]) / boxes[:, 3:4]
    return Lattice(rows, torch.where(boxes[:, 4:5] > 0, 1 - columns, columns))


def sample(features: Tensor, points: Lattice) -> Tensor:
    """Features at the points of a lattice, ``[N, P, C]``, row by row.

    Bilinear, and beyond the centres of the outer cells constant. As the
    points are all rows with all columns, that is a product with two small
    matrices, ``A F B^T``: unlike ``grid_sample`` its gradient needs no atomic
    additions, so a GPU gives the same numbers again.

    Args:
        features: ``[N, C, h, w]``, with gradient.
        points: Points in the same N views.
    """
    # In half precision the weights would be off by up to 4e-3.
    with torch.autocast(features.device.type, enabled=False):
        features = at_least_float32(features)
        height, width = features.shape[2:]
        down = hat(points.rows.to(features.dtype) * height - 0.5, height)
        across = hat(points.columns.to(features.dtype) * width - 0.5, width)
        rows = torch.einsum('nih,nchw->nciw', down, features)
        sampled = torch.einsum('njw,nciw->nijc', across, rows)
    return sampled.flatten(1, 2)


def hat(positions: Tensor, cells: int) -> Tensor:
    """Weights of linear interpolation, ``[N, g, cells]``.

    ``max(0, 1 - |x - j|)`` of cell j for a position x, which is first moved
    into ``[0, cells - 1]``.

    >>> hat(torch.tensor([[-0.5, 0.25, 2.0]]), cells=3).tolist()
    [[[1.0, 0.0, 0.0], [0.75, 0.25, 0.0], [0.0, 0.0, 1.0]]]
    """
    inside = positions.clamp(0, cells - 1)[..., None]
    places = torch.arange(
        cells, dtype=positions.dtype, device=positions.device
    )
    return (1 - (inside - places).abs()).clamp_min(0)
