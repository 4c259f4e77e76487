"""The parts of a pretraining config that some registry builds.

Read by :mod:`sce_mm.config.types`, whatever the config is like: a part may be
missing, of a wrong kind, or without a type.
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

from ..datasets.images.decoding import as_stretch
from ..datasets.views.augmentations import Augmentation

# What the Runner takes under these names.
_SECTIONS: dict[str, type | tuple[type, ...]] = {
    'model': dict,
    'train_dataloader': dict,
    'optim_wrapper': dict,
    'train_cfg': dict,
    'param_scheduler': (dict, list, tuple),
    'default_hooks': dict,
    'custom_hooks': (list, tuple),
    'env_cfg': dict,
    'randomness': dict,
    'visualizer': dict,
    'auto_scale_lr': dict,
}


class Part(NamedTuple):
    """A piece of a config.

    Attributes:
        key: Dotted path.
        registry: What builds it.
        node: Should be a dict.
        typed: Whether it has to name its class.
    """

    key: str
    registry: Registry
    node: Any
    typed: bool = True


def wrong_kinds(cfg: Config) -> Iterator[str]:
    """Sections that are no dict where one is needed, and so on."""
    for key, kind in _SECTIONS.items():
        value = cfg.get(key)
        if value is not None and not isinstance(value, kind):
            needed = 'a dict' if kind is dict else 'a list of dicts'
            yield f'{key}: must be {needed}, got {value!r}'
    default_hooks = cfg.get('default_hooks')
    for name, hook in _items(default_hooks):
        if hook is not None and not isinstance(hook, dict):
            yield f'default_hooks.{name}: must be a dict, got {hook!r}'


def parts(cfg: Config) -> list[Part]:
    """All parts of a config whose sections are of the right kind."""
    wrapper = cfg.get('optim_wrapper') or {}
    found = [
        Part('model', MODELS, cfg.get('model')),
        *(
            Part(f'model.{name}', MODELS, cfg.model[name])
            for name in ('backbone', 'neck', 'head')
            if isinstance(cfg.get('model'), dict) and name in cfg.model
        ),
        Part('optim_wrapper', OPTIM_WRAPPERS, wrapper, typed=False),
        Part('optim_wrapper.optimizer', OPTIMIZERS, wrapper.get('optimizer')),
        Part('train_cfg', LOOPS, cfg.get('train_cfg') or {}, typed=False),
        *_loader_parts(cfg.get('train_dataloader') or {}, 'train_dataloader'),
        *_list_parts(cfg, 'param_scheduler', PARAM_SCHEDULERS),
        *(Part(key, HOOKS, hook) for key, hook in hooks_of(cfg)),
    ]
    visualizer = cfg.get('visualizer') or {}
    found.append(Part('visualizer', VISUALIZERS, visualizer, typed=False))
    found += _list_parts(visualizer, 'vis_backends', VISBACKENDS, 'visualizer')
    for key, loader in evaluation_loaders(cfg):
        found += _loader_parts(loader, key, sampled=False)
    return found


def hooks_of(cfg: Config) -> Iterator[tuple[str, Any]]:
    """All hooks with their keys: those by name, then the user's own."""
    for name, hook in _items(cfg.get('default_hooks')):
        if hook is not None:
            yield f'default_hooks.{name}', hook
    for index, hook in enumerate(cfg.get('custom_hooks') or []):
        yield f'custom_hooks[{index}]', hook


def find_hook(cfg: Config, kind: str) -> Any:
    """The first hook of a type, or None."""
    for _, hook in hooks_of(cfg):
        if isinstance(hook, dict) and hook.get('type') == kind:
            return hook
    return None


def evaluation_loaders(cfg: Config) -> Iterator[tuple[str, dict]]:
    """Loaders of the labelled images of hooks, with their keys."""
    for key, hook in hooks_of(cfg):
        for name, value in _items(hook):
            if isinstance(value, dict) and 'dataset' in value:
                yield f'{key}.{name}', value


def _loader_parts(loader: dict, key: str, sampled: bool = True) -> list[Part]:
    """Sampler, collation, data sets within each other, and transforms."""
    found = []
    if sampled or 'sampler' in loader:
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


def _items(node: Any) -> list[tuple[str, Any]]:
    return list(node.items()) if isinstance(node, dict) else []


def innermost_dataset(cfg: Config) -> tuple[str, Any]:
    """Key and config of the training data set inside all wrappers."""
    key, dataset = 'train_dataloader.dataset', cfg.train_dataloader.dataset
    while 'dataset' in dataset:
        key, dataset = f'{key}.dataset', dataset['dataset']
    return key, dataset


def view_transforms(cfg: Config) -> Iterator[tuple[str, Any]]:
    """Each ``SCEViews`` of the training data and the key where it stands."""
    key, dataset = innermost_dataset(cfg)
    for index, transform in enumerate(dataset.get('pipeline') or []):
        if transform.get('type') == 'SCEViews':
            yield f'{key}.pipeline[{index}]', transform


def view_sizes(transform: Any) -> list[int]:
    """Pixels along a side of each view that a ``SCEViews`` makes."""
    return [v.get('size', Augmentation.size) for v in transform['views']]


def image_side(cfg: Config) -> int:
    """Pixels along a side of the largest images that a config trains on."""
    if not cfg.get('train_dataloader'):
        return Augmentation.size
    for _, transform in view_transforms(cfg):
        return max(view_sizes(transform))
    # Of a classifier.
    _, dataset = innermost_dataset(cfg)
    for transform in dataset.get('pipeline') or []:
        key = {'RandomResizedCrop': 'scale', 'RandomCrop': 'crop_size'}.get(
            transform['type']
        )
        if key:
            size = transform[key]
            return size if isinstance(size, int) else max(size)
    return Augmentation.size


def image_stretch(cfg: Config) -> tuple[float, float] | None:
    """The ``stretch`` with which a config loads its training images."""
    if not cfg.get('train_dataloader'):
        return None
    _, dataset = innermost_dataset(cfg)
    for transform in dataset.get('pipeline') or []:
        if transform.get('stretch') is not None:
            return as_stretch(transform['stretch'])
    return None
