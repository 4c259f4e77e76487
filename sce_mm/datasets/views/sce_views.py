"""The views of an image as an mmpretrain transform."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmpretrain.registry import TRANSFORMS

from ..samplers import SampleIndex
from .augmentations import Augmentation, build_augmentation
from .view_params import UniformSource, ViewParams, apply_params, draw_params
from .view_tensors import pack_params


@TRANSFORMS.register_module()
class SCEViews(BaseTransform):
    """Several augmented views of one decoded image.

    ``results['img']``, [h, w, 3] uint8 BGR, becomes a list of contiguous
    [size, size, 3] uint8 BGR arrays, one a view, in the order of ``views``
    (global views first, then local crops). ``PackInputs`` turns them into
    the list of tensors that the model takes.

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
            parameters [V, 21] of :func:`pack_params`.

    Raises:
        ValueError: No view, an unknown name or key, or a value out of range.
        TypeError: ``views`` is not a sequence of dicts.

    Example:
        >>> views = SCEViews(views=[
        ...     dict(augmentation='strong_alpha', size=224, scale=(0.2, 1.0)),
        ...     dict(augmentation='strong_beta', size=224, scale=(0.2, 1.0)),
        ... ])
    """

    def __init__(
        self, views: Sequence[Mapping[str, Any]], deferred: bool = False
    ) -> None:
        if isinstance(views, (str, Mapping)) or not isinstance(
            views, Sequence
        ):
            raise TypeError(
                'views must be a list with one dict a view, '
                f'got {type(views).__name__}'
            )
        if not views:
            raise ValueError('views is empty: name at least one view')
        self.views = [_build(i, view) for i, view in enumerate(views)]
        self.deferred = deferred

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replace the image by its views, or add what makes them."""
        image = results['img']
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(
                'SCEViews needs an image [h, w, 3] of uint8, got '
                f'{list(image.shape)} of {image.dtype}; load it with '
                "dict(type='LoadImage')"
            )
        height, width = image.shape[:2]
        params = self._draw(height, width, results.get('sample_idx'))
        sizes = [view.size for view in self.views]
        if self.deferred:
            return {**results, 'img': [image, pack_params(params, sizes)]}
        views = [
            apply_params(image, drawn, size)
            for drawn, size in zip(params, sizes, strict=True)
        ]
        return {**results, 'img': views}

    def _draw(self, height: int, width: int, index: Any) -> list[ViewParams]:
        params = []
        for number, augmentation in enumerate(self.views):
            rng: UniformSource = (
                index.rng(number)
                if isinstance(index, SampleIndex)
                else np.random
            )
            params.append(draw_params(augmentation, height, width, rng))
        return params

    def __repr__(self) -> str:
        lines = ',\n    '.join(str(view) for view in self.views)
        return (
            f'{type(self).__name__}(views=[\n    {lines}], '
            f'deferred={self.deferred})'
        )


def _build(number: int, view: Mapping[str, Any]) -> Augmentation:
    if not isinstance(view, Mapping):
        raise TypeError(
            f'views[{number}] must be a dict, got {type(view).__name__}'
        )
    if 'augmentation' not in view:
        raise ValueError(
            f"views[{number}] has no 'augmentation': name one, "
            "for example augmentation='strong_alpha'"
        )
    try:
        return build_augmentation(**view)
    except ValueError as error:
        raise ValueError(f'views[{number}]: {error}') from error
