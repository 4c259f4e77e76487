"""The dense SCE head: the same loss between places instead of images."""

import math
from collections.abc import Sequence

import torch
from mmengine.dist import get_world_size
from mmpretrain.registry import MODELS
from torch import Tensor

from ...utils.checks import check_integer, check_number
from ..utils.correspondence import Lattice, shared_lattices
from .sce_head import SCEHead

# The loss compares the first two views with each other.
DENSE_VIEWS = 2
KEYS_PER_IMAGE = 4


@MODELS.register_module()
class DenseSCEHead(SCEHead):
    """Predict the target distribution of a place from the other view of it.

    For each image P = ``grid``^2 points lie on a lattice over the intersection
    of the crops of its first two views, known from their boxes. Queries and
    keys are taken from the feature maps of both branches at these points, so
    the positive of a query shows exactly the same place; candidates are the
    keys of places of other images, in a queue of their own. Loss, predictor
    and options are those of :class:`SCEHead`, with ``N P`` rows for N images.

    Images whose crops have too little in common add nothing: the loss is the
    mean over all N P rows, theirs being zero.

    Args:
        loss: Config of the loss, see :class:`SCEHead`.
        predictor: Config of a neck that maps rows to the same width, for the
            online branch alone; None for no predictor.
        in_batch_keys: Count the other places of the batch, those of the same
            image too, among the candidates.
        grid: Points along a side of the lattice.
        level: Output of the backbone (of its ``out_indices``) that is
            sampled; -1 is the last. With a pyramid all of its levels are.
        weight: The model minimises the loss of its ``head`` plus this weight
            times the dense one.
        min_overlap: Smallest share of the smaller crop that the intersection
            has to cover.
        keys_per_image: Points of each target view whose keys go into the
            queue, in turn: fewer let a queue hold more images.
        init_cfg: Initialisation config.

    Raises:
        UserError: A number is out of range, or loss and candidates exclude
            each other.
    """

    def __init__(
        self,
        loss: dict,
        predictor: dict | None = None,
        in_batch_keys: bool = False,
        grid: int = 4,
        level: int = -1,
        weight: float = 0.5,
        min_overlap: float = 0.1,
        keys_per_image: int = KEYS_PER_IMAGE,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(loss, predictor, in_batch_keys, init_cfg)
        check_integer('grid', grid, low=1)
        check_integer('keys_per_image', keys_per_image, 1, grid**2)
        check_number('weight', weight)
        check_number('min_overlap', min_overlap, high=1.0)
        self.grid = grid
        self.level = level
        self.weight = weight
        self.min_overlap = min_overlap
        self.keys_per_image = keys_per_image

    def locate(self, boxes: Tensor) -> tuple[list[Lattice], Tensor]:
        """Points of the first two views, and the weight of each row.

        Args:
            boxes: ``[N, V, 5]`` of all views, see
                :mod:`~sce_mm.models.utils.correspondence`.

        Returns:
            The lattices, and ``[N P]``: 1 where they show the same places.
        """
        one, other, shared = shared_lattices(
            boxes[:, 0], boxes[:, 1], self.grid, self.min_overlap
        )
        return [one, other], shared.repeat_interleave(self.grid**2)

    def keys_to_keep(self, batches: Sequence[Tensor]) -> Tensor:
        """Choose the keys of one target view that the queue keeps.

        Image i of a step gives ``keys_per_image`` of its P points, spread
        over the lattice and other ones than image i + 1. Images are counted
        as one process would see them: the sampler deals them out in turn.

        Args:
            batches: ``[M P, D]`` of the M images that all W processes have in
                each batch of the step, in rank order.

        Returns:
            ``[sum of M * keys_per_image, D]``, images in the given order.
        """
        points, count = self.grid**2, self.keys_per_image
        device = batches[0].device
        offsets = torch.arange(count, device=device)
        offsets = offsets * spread_step(points, count)
        kept, first = [], 0
        for keys in batches:
            by_image = keys.unflatten(0, (-1, points))
            rows = torch.arange(len(by_image), device=device)
            # Row j of process r is image first + j W + r.
            images = (first + rows).view(-1, get_world_size()).T.flatten()
            chosen = (images[:, None] + offsets) % points
            kept.append(by_image[rows[:, None], chosen].flatten(0, 1))
            first += len(by_image)
        return torch.cat(kept)


def spread_step(points: int, count: int) -> int:
    """Step that takes ``count`` different points far apart of a lattice.

    Multiples of it run along rows and columns at once, and meet every point
    before they meet one again.

    >>> [number * spread_step(16, 4) for number in range(4)]
    [0, 5, 10, 15]
    """
    step = points // count + 1
    while math.gcd(step, points) > 1:
        step += 1
    return step
