"""Let a config train on regions of its images, or on whole images again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from statistics import median, median_low
from typing import Any, NamedTuple

from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.registry import TRANSFORMS

from ..datasets.images.decoding import cache_advice
from ..datasets.images.image_sizes import image_sizes
from ..datasets.images.loading import LoadCachedImage, LoadImage
from ..datasets.images.regions import regions_of
from ..utils.errors import UserError
from ..utils.text import counted
from .building import build_dataset
from .counts import processes, step_images
from .parts import image_side, innermost_datasets, view_sizes, view_transforms
from .region_size import (
    SIDE_OF_BOX,
    at_least,
    box_side,
    detector_scale,
    region_size,
)

# Transforms behind which regions are cut.
LOADING = ('LoadImage', 'LoadCachedImage')


def only_stretches(loading: Mapping[str, Any]) -> bool:
    """Whether a ``LoadImage`` gives the pixels that a cache of ours has."""
    return {*loading} <= {'type', 'stretch'}


# Decoding an image of so many pixels takes longer than its views.
_SLOW_PIXELS = 4e6
# Images whose sizes are read.
_LOOKED_AT = 300
Sides = tuple[int, int]


class RegionWarning(str):
    """A line for the user on regions that do not do what they are for."""


class TrainingImages(NamedTuple):
    """Images of a training data set, of all its parts.

    Attributes:
        paths: Where they are.
        sizes: Height and width of some of them when they are loaded.
        shrunk: Whether a cache may have made them smaller.
    """

    paths: Sequence[str]
    sizes: Sequence[tuple[int, int]]
    shrunk: bool = False

    @property
    def short_side(self) -> float:
        """Short side of the median image, pixels."""
        return median(min(size) for size in self.sizes)

    def source_short_side(self) -> float:
        """The same before a cache has shrunk them.

        Raises:
            UserError: The images that it was made of are not there.
        """
        if not self.shrunk:
            return self.short_side
        sizes = image_sizes(self.paths, LoadImage())
        if not sizes:
            raise UserError(
                '--regions auto needs the images that the cache was made of, '
                f'and {self.paths[0]} is not there: name a side in pixels of '
                'the cache, such as --regions 128'
            )
        return median(min(size) for size in sizes)


def training_images(cfg: Config) -> TrainingImages:
    """Find the images that a config trains on, and read how large some are.

    Of several data sets in a ``ConcatDataset`` in proportion.

    Raises:
        UserError: The data set has no image files, or none that can be read.
    """
    parts = []
    for key, dataset in innermost_datasets(cfg):
        pipeline, loading = _without_regions(key, dataset)
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            load: Any = TRANSFORMS.build(dict(pipeline[loading]))
        parts.append((_image_paths(key, dataset), load))
    paths = [path for part, _ in parts for path in part]
    sizes = [
        size
        for part, load in parts
        for size in image_sizes(
            part, load, most=ceil(_LOOKED_AT * len(part) / len(paths))
        )
    ]
    if not sizes:
        raise UserError(
            f'train_dataloader.dataset: none of the {len(paths)} images can '
            f'be read, {paths[0]} for one'
        )
    shrunk = any(
        isinstance(load, LoadCachedImage) and load.cache.short_side
        for _, load in parts
    )
    return TrainingImages(paths, sizes, shrunk)


def choose_regions(
    cfg: Config,
    regions: Sides | str,
    per_image: int | None = None,
    labels: Mapping[str, Any] | None = None,
    detector: Config | None = None,
    images: TrainingImages | None = None,
) -> list[str]:
    """Do what ``--regions`` and the options that go with it ask for.

    Args:
        cfg: Config of a pretraining on image files; it is changed.
        regions: Smallest and largest side of a region, pixels; ``'none'``
            for whole images; ``'auto'`` for a side that follows the boxes
            of ``labels``.
        per_image: See :func:`set_regions`.
        labels: Content of a file in COCO format with the user's boxes.
        detector: Config of mmdet, at whose scale the views are to show the
            objects. Without, the views stay as large as they are.
        images: Images of the config, if they were looked at already.

    Returns:
        Lines for the user: what was chosen and why, what an epoch is;
        a :class:`RegionWarning` for each that is a warning.

    Raises:
        UserError: There is nothing to choose by, or no image to cut.
    """
    if regions == 'none':
        return set_regions(cfg, None, per_image, images)
    if not isinstance(regions, str):
        return set_regions(cfg, regions, per_image, images)
    labels = require_labels(labels)
    images = images or training_images(cfg)
    # A cache may have shrunk the images, and with them the objects.
    shrunk = images.short_side / images.source_short_side()
    box, view = box_side(labels) * shrunk, image_side(cfg)
    chosen = f'the median box has {box:.0f} px'
    if detector is None:
        side, limit = at_least(
            round(min(SIDE_OF_BOX * box, images.short_side))
        )
        chosen += (
            f': regions of {side} px{limit and f" ({limit})"}, views stay at '
            f'{view} px'
        )
    else:
        scale = detector_scale(detector, labels) / shrunk
        side, view, limit = region_size(box, scale, images.short_side)
        _set_view_size(cfg, view)
        chosen += (
            f', and the detector scales it by {scale:.2g}: regions '
            f'of {side} px, views of {view} px{limit and f" ({limit})"}'
        )
    return [chosen, *set_regions(cfg, (side, side), per_image, images)]


def require_labels(labels: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The labels that ``--regions auto`` goes by.

    Raises:
        UserError: There are none.
    """
    if labels is None:
        raise UserError(
            '--regions auto chooses by the size of your objects: name their '
            'labels (--boxes FILE, in COCO format), or a side, such as '
            '--regions 128'
        )
    return labels


def regions_text(regions: tuple[int, int] | str | None) -> str | None:
    """The word of ``--regions``; None if the option was not given."""
    if not isinstance(regions, tuple):
        return regions
    low, high = regions
    return f'{low}' if low == high else f'{low}-{high}'


def set_regions(
    cfg: Config,
    sides: Sides | None,
    per_image: int | None = None,
    images: TrainingImages | None = None,
) -> list[str]:
    """Let each sample of the training data be a region of an image.

    ``CutRegion`` goes behind the transform that loads images, in each part of
    a ``ConcatDataset``, and a ``RepeatDataset`` around the training data set
    gives each image so many times in an epoch; those that the config has are
    replaced.

    Args:
        cfg: Config of a pretraining on image files; it is changed.
        sides: Smallest and largest side of a region, pixels; None for whole
            images.
        per_image: How many samples of an epoch an image gives. Defaults to
            as many regions as fit into the median image, and to 1 for whole
            images.
        images: As of :func:`choose_regions`.

    Returns:
        Lines for the user: what an epoch is now, and a
        :class:`RegionWarning` if most images are smaller than a region, or
        if some are taken whole and come several times in one batch.

    Raises:
        UserError: The data set has no image files, or none that can be read.
    """
    images = images or training_images(cfg)
    cut = []
    if sides:
        side = sides[0] if sides[0] == sides[1] else list(sides)
        cut = [dict(type='CutRegion', size=side)]
        per_image = per_image or median_low(
            regions_of(*size, sides) for size in images.sizes
        )
    for key, dataset in innermost_datasets(cfg):
        pipeline, loading = _without_regions(key, dataset)
        pipeline[loading + 1 : loading + 1] = cut
        dataset.pipeline = pipeline
    _repeat(cfg, per_image or 1)
    return _lines(cfg, images, sides, per_image or 1)


def cuts_regions(cfg: Config) -> bool:
    """Whether samples of a config are regions of its images."""
    return _has_transform(cfg, 'CutRegion')


def _has_transform(cfg: Config, kind: str) -> bool:
    return any(
        transform.get('type') == kind
        for _, dataset in innermost_datasets(cfg)
        for transform in dataset.get('pipeline') or []
    )


def _without_regions(key: str, dataset: Any) -> tuple[list[Any], int]:
    """Transforms but those that cut regions, and which one loads images."""
    pipeline = [
        transform
        for transform in dataset.get('pipeline') or []
        if transform.get('type') != 'CutRegion'
    ]
    names = [transform.get('type') for transform in pipeline]
    found = [n for n, name in enumerate(names) if name in LOADING]
    if not found:
        raise UserError(
            '--regions is for data sets of image files, whose pipeline has '
            f'{" or ".join(LOADING)}; {key} is {dataset.get("type")} with '
            f'{", ".join(map(str, names)) or "no pipeline"}'
        )
    return pipeline, found[0]


def _image_paths(key: str, dataset: Any) -> list[str]:
    """Paths of the images of a data set that the config builds."""
    images = build_dataset(key, dataset)
    infos = (images.get_data_info(n) for n in range(len(images)))
    return [info['img_path'] for info in infos]


def _repeat(cfg: Config, times: int) -> None:
    """Give the data set so many times an epoch, whatever it was before.

    The repetition is outermost: there the sampler goes through it in one
    order again and again, so that all other images lie between two regions
    of one.
    """
    dataset = _once(cfg.train_dataloader.dataset)
    if times > 1:
        dataset = dict(type='RepeatDataset', times=times, dataset=dataset)
    cfg.train_dataloader.dataset = dataset


def _once(dataset: Any) -> Any:
    """A data set without the repetitions in it."""
    while dataset.get('type') == 'RepeatDataset':
        dataset = dataset['dataset']
    if 'dataset' in dataset:
        dataset['dataset'] = _once(dataset['dataset'])
    elif 'datasets' in dataset:
        dataset['datasets'] = [_once(part) for part in dataset['datasets']]
    return dataset


def _set_view_size(cfg: Config, size: int) -> None:
    """Make the largest views of this size, and others in proportion."""
    largest = image_side(cfg)
    for _, transform in view_transforms(cfg):
        sizes = view_sizes(transform)
        for view, old in zip(transform['views'], sizes, strict=True):
            view['size'] = max(32, round(old * size / largest / 32) * 32)


def _lines(
    cfg: Config, images: TrainingImages, sides: Sides | None, per_image: int
) -> list[str]:
    """What an epoch is, and what regions larger than images do to it."""
    loader, count = cfg.train_dataloader, len(images.paths)
    step = step_images(cfg)
    samples = count * per_image
    steps = samples // step
    number = {0: 'not one full step', 1: '1 step'}.get(steps, f'{steps} steps')
    epoch = f'an epoch is {samples} samples, {number} of {step}'
    if not sides:
        times = f' x {per_image} times' if per_image > 1 else ''
        return [f'{count} whole images{times}: {epoch}']
    low, high = sides
    side = f'{low}' if low == high else f'{low} to {high}'
    each = counted(per_image, 'region')
    lines = [f'{counted(count, "image")} x {each} of {side} px: {epoch}']
    middle = round((low * high) ** 0.5)
    smaller = sum(min(size) < middle for size in images.sizes)
    if 2 * smaller > len(images.sizes):
        lines.append(
            RegionWarning(
                f'{smaller} of {len(images.sizes)} images are smaller than a '
                f'region of {middle} px, so each is taken whole: choose a '
                'smaller size'
            )
        )
    whole = sum(max(size) <= middle for size in images.sizes)
    together = loader.batch_size * processes(cfg)
    if whole and per_image > 1 and together > count:
        lines.append(
            RegionWarning(
                f'a batch of {together} is larger than the {count} images, '
                f'and {whole} of {len(images.sizes)} have no more than one '
                f'region of {middle} px: these come several times in one '
                'batch, as their own negatives. Take --regions-per-image 1, '
                'or a smaller batch'
            )
        )
    pixels = median(height * width for height, width in images.sizes)
    decodes = _has_transform(cfg, 'LoadImage')
    if decodes and pixels > _SLOW_PIXELS and per_image > 1:
        lines.append(
            f'the median image has {pixels / 1e6:.0f} million pixels, and '
            'each region decodes its image again: '
            f'{cache_advice("--full-size")}'
        )
    return lines
