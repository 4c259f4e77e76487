"""Let a config train on regions of its images, or on whole images again."""

from __future__ import annotations

import logging
import math
from statistics import median_low
from typing import Any

from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from mmpretrain.registry import DATASETS, TRANSFORMS

from ..datasets.images.image_sizes import image_sizes
from ..datasets.images.regions import regions_of
from ..utils.errors import UserError
from .parts import innermost_dataset
from .values import processes

# Transforms behind which regions are cut.
LOADERS = ('LoadImage', 'LoadCachedImage')
Sides = tuple[int, int]


def set_regions(
    cfg: Config, sides: Sides | None, per_image: int | None = None
) -> list[str]:
    """Let each sample of the training data be a region of an image.

    ``CutRegion`` goes behind the transform that loads images, and a
    ``RepeatDataset`` around the training data set gives each image so many
    times in an epoch; those that the config has are replaced.

    Args:
        cfg: Config of a pretraining on image files; it is changed.
        sides: Smallest and largest side of a region, pixels; None for whole
            images.
        per_image: How many samples of an epoch an image gives. Defaults to
            as many regions as fit into the median image, and to 1 for whole
            images.

    Returns:
        Lines for the user: what an epoch is now, and a warning if most
        images are smaller than a region.

    Raises:
        UserError: The data set has no image files, or none that can be read.
    """
    key, dataset = innermost_dataset(cfg)
    pipeline = [
        transform
        for transform in dataset.get('pipeline') or []
        if transform.get('type') != 'CutRegion'
    ]
    place = _after_loading(key, dataset, pipeline)
    paths = _image_paths(key, dataset)
    sizes: list[tuple[int, int]] = []
    if sides:
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            load: Any = TRANSFORMS.build(dict(pipeline[place - 1]))
        sizes = image_sizes(paths, load)
        if not sizes:
            raise UserError(
                f'{key}: none of the {len(paths)} images can be read, '
                f'{paths[0]} for one'
            )
        size = sides[0] if sides[0] == sides[1] else list(sides)
        pipeline.insert(place, dict(type='CutRegion', size=size))
        per_image = per_image or median_low(
            regions_of(*size, sides) for size in sizes
        )
    dataset.pipeline = pipeline
    _repeat(cfg, per_image or 1)
    return _lines(cfg, len(paths), sizes, sides, per_image or 1)


def _after_loading(key: str, dataset: Any, pipeline: list[Any]) -> int:
    names = [transform.get('type') for transform in pipeline]
    for place, name in enumerate(names, 1):
        if name in LOADERS:
            return place
    raise UserError(
        f'--regions is for data sets of image files, whose pipeline has '
        f'{" or ".join(LOADERS)}; {key} is {dataset.get("type")} with '
        f'{", ".join(map(str, names)) or "no pipeline"}'
    )


def _image_paths(key: str, dataset: Any) -> list[str]:
    """Paths of the images of a data set that the config builds."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    # The training builds it again, and says then what is left out.
    logger.setLevel(logging.ERROR)
    try:
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            images: Any = DATASETS.build({**dataset, 'pipeline': []})
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(f'{key}: {error}') from error
    finally:
        logger.setLevel(level)
    infos = (images.get_data_info(n) for n in range(len(images)))
    return [info['img_path'] for info in infos]


def _repeat(cfg: Config, times: int) -> None:
    """Give the data set so many times an epoch, whatever it was before.

    The repetition is outermost: there the sampler goes through it in one
    order again and again, so that all other images lie between two regions
    of one.
    """
    outer: Any = {'dataset': cfg.train_dataloader.dataset}
    node = outer
    while 'dataset' in node:
        while node['dataset'].get('type') == 'RepeatDataset':
            node['dataset'] = node['dataset']['dataset']
        node = node['dataset']
    if times > 1:
        outer = {
            'dataset': dict(
                type='RepeatDataset', times=times, dataset=outer['dataset']
            )
        }
    cfg.train_dataloader.dataset = outer['dataset']


def _lines(
    cfg: Config,
    images: int,
    sizes: list[tuple[int, int]],
    sides: Sides | None,
    per_image: int,
) -> list[str]:
    """What an epoch is, and whether regions are larger than images."""
    loader, samples = cfg.train_dataloader, images * per_image
    accumulated = (cfg.get('optim_wrapper') or {}).get(
        'accumulative_counts', 1
    )
    step = loader.batch_size * processes(cfg) * accumulated
    what = f'{images} whole images' + f' x {per_image} times' * (per_image > 1)
    if sides:
        low, high = sides
        side = f'{low}' if low == high else f'{low} to {high}'
        what = f'{images} images x {per_image} regions of {side} px'
    lines = [
        f'{what}: an epoch is {samples} samples, {samples // step} steps of '
        f'{step}'
    ]
    if sides:
        middle = round(math.sqrt(sides[0] * sides[1]))
        smaller = sum(min(size) < middle for size in sizes)
        if 2 * smaller > len(sizes):
            lines.append(
                f'{smaller} of {len(sizes)} images are smaller than a region '
                f'of {middle} px, and what is there of them is taken: choose '
                'a smaller one'
            )
    return lines
