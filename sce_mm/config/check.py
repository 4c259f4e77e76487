"""What in a pretraining config cannot work, found before GPUs wait for it.

Everything is looked for at once: names of classes, arguments that a class
refuses, parts that do not fit together, folders that are not there and a work
dir that cannot be written to.
"""

import math
import os
from collections.abc import Callable, Iterator
from typing import Any

from mmengine.config import Config
from mmengine.registry import DefaultScope

from ..cli.arguments import LARGEST_SEED
from ..cli.config_edits import device_view_problems
from ..utils.random_state import preserve_rng
from .building import refused_arguments, shapes, weights
from .names import raise_all, wrong_names
from .parts import evaluation_loaders, hooks_of, view_transforms, wrong_kinds
from .paths import missing_data, missing_places, unwritable_work_dir
from .types import (
    dataset_arguments,
    loader_options,
    missing_types,
    misspelt_hooks,
    sharding,
    unknown_types,
)

_CANNOT_WORK = 'thing(s) in the config cannot work'


def check_sense(cfg: Config) -> None:
    """Find what cannot work in a config that pretrains an SCE model.

    Model, transforms, hooks and optimiser are built and thrown away; random
    generators are as before. Of other configs names and places are checked,
    and of detectors the classes.

    Raises:
        ConfigError: With every problem that was found, each with its key.
    """
    if not _pretrains(cfg):
        raise_all(
            [
                *wrong_names(cfg),
                *_seed(cfg),
                *missing_data(cfg),
                *_classes(cfg),
                *unwritable_work_dir(cfg),
            ],
            _CANNOT_WORK,
        )
        return
    problems: list[str] = []

    def look(check: Callable[[Config], Iterator[str]]) -> None:
        try:
            problems.extend(check(cfg))
        # It stumbled over what has been found already.
        except (AttributeError, KeyError, TypeError):
            if not problems:
                raise

    def build(cfg: Config) -> Iterator[str]:
        return refused_arguments(cfg, {p.split(': ')[0] for p in problems})

    for check in (
        wrong_kinds,
        wrong_names,
        missing_types,
        unknown_types,
        dataset_arguments,
        misspelt_hooks,
        sharding,
        _seed,
        _numbers,
        _not_finite,
    ):
        look(check)
    with preserve_rng(), DefaultScope.overwrite_default_scope('mmpretrain'):
        look(build)
        if not problems:
            look(shapes)
            look(weights)
    for check in (
        _queue,
        _views,
        _hooks,
        _schedules,
        loader_options,
        _all_places,
        unwritable_work_dir,
    ):
        look(check)
    raise_all(problems, _CANNOT_WORK)


def _pretrains(cfg: Config) -> bool:
    model = cfg.get('model')
    return not isinstance(model, dict) or model.get('type', 'SCE') == 'SCE'


def _classes(cfg: Config) -> Iterator[str]:
    """Classes of a detector that are not those of its labels."""
    if cfg.get('default_scope') == 'mmdet':
        from ..detection.adapt.classes import class_problems

        yield from class_problems(cfg)


def _all_places(cfg: Config) -> Iterator[str]:
    for key in cfg:
        yield from missing_places(cfg[key], key)


def _seed(cfg: Config) -> Iterator[str]:
    """A seed that some generator would not take."""
    options = cfg.get('randomness')
    seed = options.get('seed') if isinstance(options, dict) else options
    if seed is not None and (
        type(seed) is not int or not 0 <= seed <= LARGEST_SEED
    ):
        yield (
            f'randomness.seed: must be a whole number from 0 to '
            f'{LARGEST_SEED}, got {seed!r}'
        )


def _numbers(cfg: Config) -> Iterator[str]:
    """Counts that must be whole numbers, and switches."""
    loop = cfg.get('train_cfg') or {}
    wrapper = cfg.get('optim_wrapper') or {}
    counts = {
        'optim_wrapper.accumulative_counts': (
            wrapper.get('accumulative_counts', 1),
            1,
        ),
    }
    if 'max_iters' not in loop:
        counts['train_cfg.max_epochs'] = loop.get('max_epochs'), 1
    training = cfg.get('train_dataloader') or {}
    loaders = [('train_dataloader', training), *evaluation_loaders(cfg)]
    for key, loader in loaders:
        counts[f'{key}.batch_size'] = loader.get('batch_size'), 1
        counts[f'{key}.num_workers'] = loader.get('num_workers', 0), 0
        if loader.get('drop_last') not in (None, True, False):
            yield f'{key}.drop_last: must be True or False'
        if loader.get('persistent_workers') and not loader.get('num_workers'):
            yield (
                f'{key}.persistent_workers: there are none with num_workers='
                f'{loader.get("num_workers", 0)}; set it to False'
            )
    for key, (value, least) in counts.items():
        if (
            isinstance(value, bool)
            or not isinstance(value, int)
            or value < least
        ):
            wanted = 'a positive whole' if least else 'a whole'
            more = '' if least else ', 0 or more'
            yield f'{key}: must be {wanted} number{more}, got {value!r}'
    pixels = (cfg.get('model') or {}).get('data_preprocessor') or {}
    std = pixels.get('std') or []
    if not isinstance(std, list | tuple) or not all(
        isinstance(x, int | float) and x > 0 for x in std
    ):
        yield (
            'model.data_preprocessor.std: pixels are divided by it, so each '
            f'must be a positive number, got {std}'
        )
    clip = wrapper.get('clip_grad')
    if clip is not None and not isinstance(clip, dict):
        yield (
            'optim_wrapper.clip_grad: must be a dict such as '
            f'dict(max_norm=1.0), or None, got {clip!r}'
        )


def _not_finite(node: Any, path: str = '') -> Iterator[str]:
    """NaN and infinity, which comparisons let through."""
    if isinstance(node, dict | Config):
        for key in node:
            yield from _not_finite(node[key], f'{path}.{key}'.lstrip('.'))
    elif isinstance(node, list | tuple):
        for index, item in enumerate(node):
            yield from _not_finite(item, f'{path}[{index}]')
    # The largest gradient is the infinite norm of all.
    elif path.endswith('norm_type'):
        return
    elif isinstance(node, float) and not math.isfinite(node):
        yield f'{path}: must be a finite number, got {node}'


def _queue(cfg: Config) -> Iterator[str]:
    """How many keys there are, of earlier steps and of this one."""
    model, targets = cfg.model, cfg.model.get('num_target_views', 2)
    batch = cfg.train_dataloader.batch_size
    steps = cfg.optim_wrapper.get('accumulative_counts', 1)
    processes = _processes(cfg)
    keys = batch * steps * processes * targets
    length = (model.get('queue') or {}).get('length')
    if length is not None and keys > length:
        yield (
            f'model.queue.length: the queue holds {length} keys but one step '
            f'brings {keys} ({batch} images x {processes} process(es) x '
            f'{steps} accumulated x {targets} target view(s)); the paper '
            'keeps 8 to 16 steps of keys'
        )
    if batch == 1 and processes == 1 and model.head.get('in_batch_keys'):
        yield (
            'train_dataloader.batch_size: a batch of one image has no other '
            'keys for in_batch_keys=True; use a larger batch, or '
            'model.head.in_batch_keys=False and a queue'
        )


def _views(cfg: Config) -> Iterator[str]:
    targets = cfg.model.get('num_target_views', 2)
    for key, transform in view_transforms(cfg):
        views = len(transform['views'])
        if views < max(2, targets):
            yield (
                f'{key}.views: {views} view(s), but the model needs at least '
                f'{max(2, targets)} (num_target_views={targets})'
            )
    yield from device_view_problems(cfg)


def _hooks(cfg: Config) -> Iterator[str]:
    hooks = [hook['type'] for _, hook in hooks_of(cfg)]
    if hooks.count('MomentumUpdateHook') != 1:
        yield (
            'default_hooks.momentum_update: exactly one MomentumUpdateHook '
            f'is needed, got {hooks.count("MomentumUpdateHook")}'
        )
    checkpoint = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    if 'PreemptionHook' in hooks and (
        checkpoint.get('type') != 'DurableCheckpointHook'
    ):
        yield (
            'default_hooks.checkpoint.type: PreemptionHook saves through '
            f'DurableCheckpointHook, got {checkpoint.get("type")!r}'
        )


def _schedules(cfg: Config) -> Iterator[str]:
    epochs = cfg.train_cfg.get('max_epochs')
    schedulers = cfg.get('param_scheduler') or []
    if isinstance(schedulers, dict):
        schedulers = [schedulers]
    for scheduler in schedulers:
        warmup = scheduler.get('warmup_epochs')
        if scheduler.get('type') != 'WarmupCosineLR' or epochs is None:
            continue
        if not isinstance(warmup, int | float) or not 0 <= warmup < epochs:
            yield (
                f'param_scheduler.warmup_epochs: must be from 0 to below the '
                f'{epochs} epochs of train_cfg.max_epochs, got {warmup!r}: '
                'set both, for example --cfg-options '
                f'param_scheduler.warmup_epochs={_tenth(epochs)}'
            )


def _tenth(epochs: Any) -> str:
    return f'{epochs / 10:g}' if isinstance(epochs, int | float) else '0'


def _processes(cfg: Config) -> int:
    """Number of processes that the launcher has started."""
    variable = {'pytorch': 'WORLD_SIZE', 'slurm': 'SLURM_NTASKS'}
    name = variable.get(cfg.get('launcher', 'none'), '')
    return int(os.environ.get(name, '1'))
