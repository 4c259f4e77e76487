"""SCEViews: the pipeline transform that makes the views of an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmpretrain.registry import TRANSFORMS

from ...utils.errors import UserError
from ..samplers import SampleIndex
from .augmentations import Augmentation, build_augmentation
from .batch_views import pack_params
from .image_ops import channels_apart
from .view_params import apply_params, draw_params


@TRANSFORMS.register_module()
class SCEViews(BaseTransform):
    """Several augmented views of one decoded image.

    ``results['img']``, [h, w, 3] uint8 BGR, becomes a list of [size, size, 3]
    uint8 BGR arrays, one a view, in the order of ``views`` (global views
    first, then local crops). In memory their channels lie one behind the
    other, so that ``PackInputs`` turns them into the list of tensors that the
    model takes without a copy.

    ``results['view_boxes']``, [V, 5], says where each view lies: top, left,
    height and width of its crop in pixels of the image, and 1 if it is
    mirrored, else 0. ``PackInputs`` hands it on if its ``meta_keys`` name it;
    :class:`DenseSCEHead` needs it.

    If ``results['sample_idx']`` comes from :class:`SeededSampler`, the draws
    of view ``v`` are a function of (seed, epoch, index, v). With any other
    sampler they come from NumPy's global generator, which mmengine seeds in
    each worker.

    Args:
        views: One dict a view: ``augmentation`` names one of ``weak``,
            ``strong``, ``strong_alpha``, ``strong_beta``, ``strong_gamma``;
            other keys override numbers of :class:`Augmentation`.
        deferred: Draw the same numbers, but leave it to
            :class:`ViewPreprocessor` to make the views of them on the
            model's device. ``results['img']`` then becomes the image and the
            parameters [V, R] of :func:`pack_params`.

    Raises:
        UserError: No view, an unknown name or key, or a value out of range.
        UserError: A view is no dict.

    The same seed, epoch and index give the same views:

    >>> image = np.random.default_rng(0).integers(
    ...     0, 256, (60, 80, 3), dtype=np.uint8
    ... )
    >>> index = SampleIndex(7, epoch=0, seed=0)
    >>> transform = SCEViews(
    ...     views=[
    ...         dict(augmentation='strong_alpha', size=32),
    ...         dict(augmentation='weak', size=16, scale=(0.1, 0.5)),
    ...     ]
    ... )
    >>> first, again = (
    ...     transform(dict(img=image, sample_idx=index))['img']
    ...     for _ in range(2)
    ... )
    >>> [view.shape for view in first]
    [(32, 32, 3), (16, 16, 3)]
    >>> all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    True
    """

    def __init__(
        self, views: Sequence[Mapping[str, Any]], deferred: bool = False
    ) -> None:
        if not views:
            raise UserError('views is empty: name at least one view')
        self.views = [_build(i, view) for i, view in enumerate(views)]
        self.deferred = deferred

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replace the image by its views, or add what makes them."""
        image = results['img']
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise UserError(
                'SCEViews needs an image [h, w, 3] of uint8, got '
                f'{list(image.shape)} of {image.dtype}; load it with '
                "dict(type='LoadImage')"
            )
        height, width = image.shape[:2]
        index = results.get('sample_idx')
        params = []
        for number, augmentation in enumerate(self.views):
            rng: Any = np.random
            if isinstance(index, SampleIndex):
                rng = index.rng(number)
            params.append(draw_params(augmentation, height, width, rng))
        boxes = [(*view.crop, view.flip) for view in params]
        results = {**results, 'view_boxes': np.array(boxes)}
        sizes = [view.size for view in self.views]
        if self.deferred:
            return {**results, 'img': [image, pack_params(params, sizes)]}
        made = [
            channels_apart(apply_params(image, *x))
            for x in zip(params, sizes, strict=True)
        ]
        return {**results, 'img': made}


def _build(number: int, view: Mapping[str, Any]) -> Augmentation:
    if not isinstance(view, Mapping):
        raise UserError(
            f'views[{number}] must be a dict, got {type(view).__name__}'
        )
    if 'augmentation' not in view:
        raise UserError(
            f"views[{number}] has no 'augmentation', such as 'strong_alpha'"
        )
    try:
        return build_augmentation(**view)
    except ValueError as error:
        raise UserError(f'views[{number}]: {error}') from error
