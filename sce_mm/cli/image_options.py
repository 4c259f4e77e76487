"""What ``--data``, ``--cache`` and ``--regions`` do to a config."""

import argparse
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log

from ..config.errors import raise_all
from ..config.parts import innermost_dataset, innermost_datasets
from ..config.regions import (
    LOADING,
    RegionWarning,
    choose_regions,
    only_stretches,
    require_labels,
)
from ..datasets.images.file_lists import (
    find_images,
    is_image_list,
    read_image_list,
    require_folder,
)
from ..datasets.images.image_cache import ImageCache
from ..datasets.labels.coco_labels import read_coco
from ..downstream import load_base
from ..utils.errors import UserError
from ..utils.processes import is_first_process
from .config_edits import refuse_both
from .exit import message_of, naming

# What a data set says of images that cannot be read.
_REPLACEMENT = ('max_refetch', 'max_unreadable')


def set_images(cfg: Config, args: argparse.Namespace) -> None:
    """Take the images of ``--data`` and ``--cache``, and their regions.

    Raises:
        UserError: They do not fit to the config, or the command line says the
            same twice.
    """
    if args.data or args.cache or args.regions:
        _require_typed(cfg)
    if args.data:
        where, _ = innermost_dataset(cfg)
        for name in ('data_root', 'ann_file'):
            refuse_both('--data', f'{where}.{name}', args.cfg_options)
        set_data(cfg, args.data)
    if args.cache:
        use_cache(cfg, args.cache)
    apply_region_options(cfg, args, read_region_sources(args))


def _require_typed(cfg: Config) -> None:
    """Refuse a data set that only ``--cfg-options`` have made."""
    where, dataset = innermost_dataset(cfg)
    if 'type' not in dataset:
        raise UserError(
            f'{where} has no type: --cfg-options are applied before --data, '
            '--cache and --regions, so name keys as they are in the config, '
            'such as train_dataloader.dataset.pipeline.1.views.0.size'
        )


@contextmanager
def naming_images(args: argparse.Namespace) -> Iterator[None]:
    """Let messages on the images name ``--data``, or advise it.

    Raises:
        UserError: Such an error was raised within.
    """
    try:
        with naming('--data') if args.data else nullcontext():
            yield
    except FileNotFoundError as error:
        if (message := message_of(error)) is None:
            raise
        raise UserError(f'{message}; --data DIR names another one') from error


def set_data(cfg: Config, data: list[str]) -> None:
    """Point the innermost training data set to other images.

    These are folders, tar files of images or folders of them, or one list.

    A recipe for labelled image files, such as ImageNet's, keeps its pipeline.

    Raises:
        UserError: One is not there, or the config trains on something else.
    """
    is_list = names_list(data)
    for folder in data if not is_list else ():
        with naming('--data'):
            require_folder(os.path.expanduser(folder))
    where, dataset = innermost_dataset(cfg)
    if dataset.type != 'UnlabelledImages':
        _drop_labels(where, dataset)
    if is_list:
        dataset.data_root, dataset.ann_file = '', data[0]
        return
    dataset.data_root = data if len(data) > 1 else data[0]
    dataset.pop('ann_file', None)


def names_list(data: Sequence[str]) -> bool:
    """Whether ``--data`` names a list of images, not folders."""
    return len(data) == 1 and is_image_list(data[0])


def image_source(data: Sequence[str]) -> tuple[str, list[str]]:
    """Find the images that words of ``--data`` name.

    Returns:
        A folder that holds all of them, and their paths.

    Raises:
        OSError: One is not there, or has no image.
        UserError: A list cannot be read.
    """
    roots = [os.path.expanduser(name) for name in data]
    is_list = names_list(data)
    paths = read_image_list(roots[0]) if is_list else find_images(roots)
    if is_list:
        roots = [*map(os.path.dirname, paths)]
    if len(roots) == 1:
        return roots[0], paths
    return os.path.commonpath([*map(os.path.abspath, roots)]), paths


def _drop_labels(where: str, dataset: ConfigDict) -> None:
    """Make labelled image files of a pretraining unlabelled ones."""
    pipeline = dataset.get('pipeline') or []
    types = [transform['type'] for transform in pipeline]
    if types[:1] != ['LoadImage'] or 'SCEViews' not in types:
        raise UserError(
            f'--data takes a folder of unlabelled images, but {where} is '
            f'{dataset.type}, whose pipeline does not begin with LoadImage '
            'and make views by SCEViews: take a recipe for a folder or for '
            'ImageNet'
        )
    kept = {key: dataset[key] for key in _REPLACEMENT if key in dataset}
    dataset.clear()
    dataset.update(type='UnlabelledImages', pipeline=pipeline, **kept)


def use_cache(cfg: Config, cache: str) -> None:
    """Let the training read its images from a cache of them.

    Levels are stretched as those of the cache, if the config says nothing.

    Raises:
        UserError: There is no such cache, or the config does not begin with
            loading image files.
    """
    with naming('--cache'):
        # The training compares it with the images, which takes longer.
        pixels = ImageCache(cache, check_source=False)
    for where, dataset in innermost_datasets(cfg):
        first = (dataset.get('pipeline') or [{}])[0]
        if first.get('type') not in LOADING:
            raise UserError(
                '--cache is for data sets of image files, whose pipeline '
                f'begins with {" or ".join(LOADING)}; that of {where} begins '
                f'with {first.get("type")}'
            )
        if first['type'] == 'LoadImage' and not only_stretches(first):
            raise UserError(
                f'--cache: {where} loads its images by {dict(first)}, and a '
                'cache has their pixels as LoadImage without options gives '
                'them: leave these out, or --cache'
            )
        stretch = first.get('stretch') or pixels.stretch
        first.clear()
        first.update(type='LoadCachedImage', cache=cache, stretch=stretch)


class RegionSources(NamedTuple):
    """What the size of regions follows.

    Attributes:
        labels: Content of the file of ``--boxes``.
        detector: Config of ``--detector``.
    """

    labels: dict[str, Any] | None = None
    detector: Config | None = None


def read_region_sources(args: argparse.Namespace) -> RegionSources:
    """Check the options of regions of a parsed command line.

    Raises:
        UserError: They do not fit together.
    """
    regions = args.regions
    for option, given, needed in (
        ('--regions-per-image', args.regions_per_image, regions),
        ('--boxes', args.boxes, regions == 'auto'),
        ('--detector', args.detector, regions == 'auto'),
    ):
        if given and not needed:
            raise UserError(
                f'{option} goes with --regions, for example --regions '
                f'{128 if needed is None else "auto"}'
            )
    labels = detector = None
    if args.boxes:
        labels, problems = read_coco(args.boxes)
        raise_all(problems, 'in --boxes')
    if regions == 'auto':
        require_labels(labels)
    if args.detector:
        with naming('--detector'):
            detector, _ = load_base(args.detector)
    return RegionSources(labels, detector)


def apply_region_options(
    cfg: Config, args: argparse.Namespace, sources: RegionSources
) -> None:
    """Do what the options of regions of a parsed command line ask for.

    The first process says what was chosen and what an epoch becomes.

    Raises:
        UserError: The data set has no images of which regions could be cut.
    """
    if args.regions is None:
        return
    for line in choose_regions(
        cfg, args.regions, args.regions_per_image, *sources
    ):
        if is_first_process():
            warns = isinstance(line, RegionWarning)
            level = logging.WARNING if warns else logging.INFO
            print_log(line, logger='current', level=level)
