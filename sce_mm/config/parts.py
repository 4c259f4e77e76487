"""Find parts of a config: data sets, views, hooks, all that is built.

A part may be missing, of a wrong type, or without a class.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from mmengine.config import Config
from mmengine.registry import FUNCTIONS, Registry
from mmpretrain.registry import (
    DATA_SAMPLERS,
    DATASETS,
    HOOKS,
    LOOPS,
    MODELS,
    OPTIM_WRAPPERS,
    OPTIMIZERS,
    PARAM_SCHEDULERS,
    TRANSFORMS,
    VISBACKENDS,
    VISUALIZERS,
)

from ..datasets.images.levels import as_stretch
from ..datasets.views.augmentations import Augmentation
from .errors import ConfigError


class Part(NamedTuple):
    """A piece of a config, at a dotted path, and the registry that builds it.

    Its content should be a dict, which has to name its class if ``typed``.
    """

    key: str
    registry: Registry
    node: Any
    typed: bool = True


def parts(cfg: Config) -> list[Part]:
    """All parts of a config whose sections are of the right kind."""
    wrapper = cfg.get('optim_wrapper') or {}
    found = [
        Part('model', MODELS, cfg.get('model')),
        *(
            Part(f'model.{name}', MODELS, value)
            for name, value in items_of(cfg.get('model'))
            if name in ('backbone', 'neck', 'head')
            # What the loss between places needs is left out with None.
            or (
                name in ('dense_neck', 'dense_head', 'pyramid')
                and value is not None
            )
        ),
        Part('optim_wrapper', OPTIM_WRAPPERS, wrapper, typed=False),
        Part('optim_wrapper.optimizer', OPTIMIZERS, wrapper.get('optimizer')),
        Part('train_cfg', LOOPS, cfg.get('train_cfg') or {}, typed=False),
        *_list_parts(cfg, 'param_scheduler', PARAM_SCHEDULERS),
        *(Part(key, HOOKS, hook) for key, hook in hooks_of(cfg)),
    ]
    visualizer = cfg.get('visualizer') or {}
    found.append(Part('visualizer', VISUALIZERS, visualizer, typed=False))
    found += _list_parts(visualizer, 'vis_backends', VISBACKENDS, 'visualizer')
    for key, loader in loaders(cfg):
        found += _loader_parts(loader, key)
    return found


def hooks_of(cfg: Config) -> Iterator[tuple[str, Any]]:
    """All hooks with their keys: the named ones, then ``custom_hooks``."""
    for name, hook in items_of(cfg.get('default_hooks')):
        if hook is not None:
            yield f'default_hooks.{name}', hook
    for index, hook in enumerate(cfg.get('custom_hooks') or []):
        yield f'custom_hooks[{index}]', hook


def find_hook(cfg: Config, kind: str) -> Any:
    """The first hook of a type, or None."""
    return next((h for _, h in hooks_of(cfg) if is_of_type(h, kind)), None)


def is_of_type(node: Any, name: str) -> bool:
    """Whether a part is of a class, which it names in whatever way.

    A class itself stands in configs in pure Python, and the module of it in
    what they are written out to.

    >>> is_of_type({'type': 'mmpretrain.SCE'}, 'SCE')
    True
    """
    return type_name(node) == name


def type_name(part: Any) -> str:
    """Class that a part of a config names, without scope or module."""
    name = part.get('type') if isinstance(part, dict) else None
    name = getattr(name, '__name__', name)
    return str(name).rsplit('.', 1)[-1]


def loaders(cfg: Config) -> Iterator[tuple[str, dict]]:
    """Loaders of the training and of the labelled images of hooks."""
    yield 'train_dataloader', cfg.get('train_dataloader') or {}
    for key, hook in hooks_of(cfg):
        for name, value in items_of(hook):
            if isinstance(value, dict) and 'dataset' in value:
                yield f'{key}.{name}', value


def _loader_parts(loader: dict, key: str) -> list[Part]:
    """Sampler, collation, data sets within each other, and transforms."""
    found = []
    if 'sampler' in loader or key == 'train_dataloader':
        sampler = loader.get('sampler')
        found.append(Part(f'{key}.sampler', DATA_SAMPLERS, sampler))
    if 'collate_fn' in loader:
        collate = loader['collate_fn']
        found.append(Part(f'{key}.collate_fn', FUNCTIONS, collate))
    dataset, key = loader.get('dataset'), f'{key}.dataset'
    found.append(Part(key, DATASETS, dataset))
    while isinstance(dataset, dict) and 'dataset' in dataset:
        dataset, key = dataset['dataset'], f'{key}.dataset'
        found.append(Part(key, DATASETS, dataset))
    if isinstance(dataset, dict):
        found += _list_parts(dataset, 'pipeline', TRANSFORMS, key)
    return found


def _list_parts(
    node: dict | Config, name: str, registry: Registry, above: str = ''
) -> list[Part]:
    key = f'{above}.{name}' if above else name
    value = node.get(name) or []
    if isinstance(value, dict):
        return [Part(key, registry, value)]
    if not isinstance(value, list | tuple):
        return [Part(f'{key}[0]', registry, value)]
    return [
        Part(f'{key}[{index}]', registry, item)
        for index, item in enumerate(value)
    ]


def items_of(node: Any) -> list[tuple[str, Any]]:
    """Pairs of a dict; none of anything else."""
    return list(node.items()) if isinstance(node, dict) else []


def innermost_dataset(cfg: Config) -> tuple[str, Any]:
    """Key and config of the training data set inside all wrappers.

    Raises:
        ConfigError: The config trains on nothing.
    """
    key, dataset = 'train_dataloader.dataset', _training_data(cfg)
    while 'dataset' in dataset:
        key, dataset = f'{key}.dataset', dataset['dataset']
    return key, dataset


def _training_data(cfg: Config) -> Any:
    loader = cfg.get('train_dataloader')
    dataset = loader.get('dataset') if isinstance(loader, dict) else None
    if not isinstance(dataset, dict):
        raise ConfigError(
            'the config has no train_dataloader.dataset: a config of a '
            'training is expected, such as those under configs/sce'
        )
    return dataset


def samples_of_an_image(cfg: Config) -> int:
    """How many samples of an epoch of the training come from one image.

    Where a ``ConcatDataset`` joins several, of the first.
    """
    return next(repeated_datasets(cfg))[2]


def innermost_datasets(cfg: Config) -> Iterator[tuple[str, Any]]:
    """Key and config of each part where a ``ConcatDataset`` joins several.

    Of one data set those of :func:`innermost_dataset`.
    """
    for key, dataset, _ in repeated_datasets(cfg):
        yield key, dataset


def repeated_datasets(cfg: Config) -> Iterator[tuple[str, Any, int]]:
    """Data sets of :func:`innermost_datasets`, and samples of an image."""
    below = [('train_dataloader.dataset', _training_data(cfg), 1)]
    while below:
        key, dataset, times = below.pop(0)
        times *= dataset.get('times', 1)
        if 'dataset' in dataset:
            below.append((f'{key}.dataset', dataset['dataset'], times))
        elif 'datasets' in dataset:
            below += (
                (f'{key}.datasets[{number}]', part, times)
                for number, part in enumerate(dataset['datasets'])
            )
        else:
            yield key, dataset, times


def view_transforms(cfg: Config) -> Iterator[tuple[str, Any]]:
    """Each ``SCEViews`` of the training data and the key where it stands."""
    for key, dataset in innermost_datasets(cfg):
        for index, transform in enumerate(dataset.get('pipeline') or []):
            if transform.get('type') == 'SCEViews':
                yield f'{key}.pipeline[{index}]', transform


def view_sizes(transform: Any) -> list[int]:
    """Pixels along a side of each view that a ``SCEViews`` makes."""
    return [v.get('size', Augmentation.size) for v in transform['views']]


def image_side(cfg: Config) -> int:
    """Pixels along a side of the largest images that a config trains on."""
    # Crops of classifiers; pretraining has views.
    crops = {'RandomResizedCrop': 'scale', 'RandomCrop': 'crop_size'}
    for transform in _pipeline(cfg):
        if transform['type'] == 'SCEViews':
            return max(view_sizes(transform))
        if key := crops.get(transform['type']):
            size = transform[key]
            return size if isinstance(size, int) else max(size)
    return Augmentation.size


def image_stretch(cfg: Config) -> tuple[float, float] | None:
    """The ``stretch`` with which a config loads its training images."""
    for transform in _pipeline(cfg):
        if transform.get('stretch') is not None:
            return as_stretch(transform['stretch'])
    return None


def _pipeline(cfg: Config) -> list[dict]:
    if not cfg.get('train_dataloader'):
        return []
    return [
        transform
        for _, dataset in innermost_datasets(cfg)
        for transform in dataset.get('pipeline') or []
    ]
