"""Find values of a config that are out of range or do not fit together.

Each function yields one line a problem, which begins with its key.
"""

import logging
import math
import multiprocessing
import os
from collections.abc import Iterator

from mmengine.config import Config

from ..models.algorithms.sce import NO_BOXES
from ..models.utils.memory_queue import check_queue_length
from ..utils.checks import (
    LARGEST_SEED,
    MOST_WORKERS,
    is_number,
    too_many_workers,
    wrong_levels,
)
from ..utils.text import counted
from .counts import (
    accumulated,
    not_a_count,
    processes,
    queues,
    target_views,
)
from .parts import (
    hooks_of,
    innermost_datasets,
    loaders,
    type_name,
    view_transforms,
)
from .reading import walk

# What makes the views that ``SCEViews(deferred=True)`` only draws.
PREPROCESSOR, COLLATE = 'ViewPreprocessor', 'pseudo_collate'
# Necks of linear layers, of which each has channels.
_NECKS = 'LinearNeck', 'NonLinearNeck'
# How much a log tells, the most first.
LEVELS = 'DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL'


def wrong_seed(cfg: Config) -> Iterator[str]:
    """A seed that some random generator does not take."""
    options = cfg.get('randomness')
    seed = options.get('seed') if isinstance(options, dict) else options
    if seed is not None and (
        type(seed) is not int or not 0 <= seed <= LARGEST_SEED
    ):
        yield (
            f'randomness.seed: must be a whole number from 0 to '
            f'{LARGEST_SEED}, got {seed!r}'
        )


def wrong_words(cfg: Config) -> Iterator[str]:
    """Words of which there are a few, and others than these."""
    level = cfg.get('log_level', 'INFO')
    # Of a name that there is not, a text.
    if not isinstance(logging.getLevelName(level), int):
        yield f'log_level: must be one of {", ".join(LEVELS)}, got {level!r}'
    environment = cfg.get('env_cfg') or {}
    processes = environment.get('mp_cfg') or {}
    method = processes.get('mp_start_method')
    known = multiprocessing.get_all_start_methods()
    if method is not None and method not in known:
        yield (
            'env_cfg.mp_cfg.mp_start_method: must be one of '
            f'{", ".join(known)}, got {method!r}'
        )


def wrong_counts(cfg: Config) -> Iterator[str]:
    """Counts that must be whole numbers, from a least one on."""
    loop = cfg.get('train_cfg') or {}
    counts = {'optim_wrapper.accumulative_counts': (accumulated(cfg), 1)}
    scaling = cfg.get('auto_scale_lr') or {}
    if scaling.get('enable') or 'base_batch_size' in scaling:
        base = scaling.get('base_batch_size')
        counts['auto_scale_lr.base_batch_size'] = base, 1
    if 'max_iters' not in loop:
        counts['train_cfg.max_epochs'] = loop.get('max_epochs'), 1
    for key, loader in loaders(cfg):
        trains_alone = key == 'train_dataloader' and processes(cfg) == 1
        # One image has nothing to be compared with, and no batch statistics.
        least = 2 if trains_alone else 1
        counts[f'{key}.batch_size'] = loader.get('batch_size'), least
        workers = loader.get('num_workers', 0)
        counts[f'{key}.num_workers'] = workers, 0
        if loader.get('persistent_workers') and not workers:
            yield (
                f'{key}.persistent_workers: there are none with num_workers='
                f'{workers}; set it to False'
            )
        elif type(workers) is int and workers > MOST_WORKERS:
            yield f'{key}.num_workers: {too_many_workers(workers)}'
    for key, (value, least) in counts.items():
        if type(value) is not int or value < least:
            yield f'{key}: {not_a_count(value, least)}'


def empty_layers(cfg: Config) -> Iterator[str]:
    """Layers without channels, which torch makes, with a warning."""
    for path, node in walk({'model': cfg.get('model')}):
        if isinstance(node, dict) and node.get('type') in _NECKS:
            for name, value in node.items():
                wrong = type(value) is int and value < 1
                if wrong and name.endswith('_channels'):
                    yield f'{path}.{name}: {not_a_count(value, 1)}'


def wrong_optimizer(cfg: Config) -> Iterator[str]:
    """Numbers with which a step would lead nowhere, or uphill."""
    wrapper = cfg.get('optim_wrapper') or {}
    optimizer = wrapper.get('optimizer') or {}
    if isinstance(optimizer, dict):
        for key in ('lr', 'weight_decay'):
            value = optimizer.get(key, 0)
            if not is_number(value) or value < 0:
                yield (
                    f'optim_wrapper.optimizer.{key}: must be a number, 0 or '
                    f'more, got {value!r}'
                )
        for key in ('momentum', 'betas'):
            value = optimizer.get(key, 0)
            shares = value if isinstance(value, list | tuple) else [value]
            if any(not is_number(x) or not 0 <= x < 1 for x in shares):
                yield (
                    f'optim_wrapper.optimizer.{key}: must be from 0 to below '
                    f'1, got {value!r}'
                )
    clip = wrapper.get('clip_grad')
    if clip is not None and not isinstance(clip, dict):
        yield (
            'optim_wrapper.clip_grad: must be a dict such as '
            f'dict(max_norm=1.0), or None, got {clip!r}'
        )
        return
    for key in ('max_norm', 'clip_value'):
        value = (clip or {}).get(key, 1)
        if not is_number(value) or value <= 0:
            yield (
                f'optim_wrapper.clip_grad.{key}: must be a number above 0, '
                f'got {value!r}; optim_wrapper.clip_grad=None does not clip'
            )


def wrong_pixels(cfg: Config) -> Iterator[str]:
    """A mean and std by which no pixels with levels to 255 are normalised."""
    preprocessor = (cfg.get('model') or {}).get('data_preprocessor') or {}
    mean, std = preprocessor.get('mean'), preprocessor.get('std')
    if std is not None and (
        not isinstance(std, list | tuple)
        or not all(is_number(x) and x > 0 for x in std)
    ):
        yield (
            'model.data_preprocessor.std: pixels are divided by it, so each '
            f'must be a positive number, got {std}'
        )
    elif mean is not None and (
        not isinstance(mean, list | tuple) or not all(map(is_number, mean))
    ):
        yield (
            'model.data_preprocessor.mean: must be three numbers, one for '
            f'each channel, got {mean!r}'
        )
    elif problem := wrong_levels(mean, std):
        yield f'model.data_preprocessor.mean and std: {problem}'


def not_finite(cfg: Config) -> Iterator[str]:
    """NaN and infinity, which comparisons let through."""
    for path, value in walk(cfg):
        if (
            isinstance(value, float)
            and not math.isfinite(value)
            # The largest gradient is the infinite norm of all.
            and not path.endswith('norm_type')
        ):
            yield f'{path}: must be a finite number, got {value}'


def huge_queues(cfg: Config) -> Iterator[str]:
    """A queue that no memory holds, before somebody builds it."""
    for option, length, _ in queues(cfg):
        if type(length) is int and (problem := too_long(length)):
            yield f'{option}: {problem}'


def too_long(length: int) -> str:
    """Why the memory of this machine holds no queue of so many keys."""
    memory = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
    # Bytes of the narrowest keys that are of use, 32 numbers of float32.
    if length * 32 * 4 <= memory:
        return ''
    return (
        f'a queue of {length} keys does not fit into the '
        f'{memory / 2**30:.0f} GiB of this machine'
    )


def wrong_queue(cfg: Config) -> Iterator[str]:
    """A queue that does not hold the keys of one step."""
    for option, length, factors in queues(cfg):
        try:
            check_queue_length(length, option, **factors)
        except ValueError as error:
            yield f'{option}: {error}'


def wrong_views(cfg: Config) -> Iterator[str]:
    """Too few views, and views that nothing would make."""
    targets = target_views(cfg)
    places = {
        'model.data_preprocessor': PREPROCESSOR,
        'train_dataloader.collate_fn': COLLATE,
    }
    for key, transform in view_transforms(cfg):
        views = len(transform['views'])
        if views < max(2, targets):
            yield (
                f'{key}.views: got {views}, but the model needs at least '
                f'{max(2, targets)} (num_target_views={targets})'
            )
        for place, wanted in (
            places.items() if transform.get('deferred') else ()
        ):
            section, _, name = place.partition('.')
            found = (cfg[section].get(name) or {}).get('type')
            if found != wanted:
                yield (
                    f'{key}.deferred: the views are left to the data '
                    f'preprocessor, which needs {place}.type={wanted!r}, got '
                    f'{found!r}; --device-views sets all of it'
                )


def missing_boxes(cfg: Config) -> Iterator[str]:
    """Places of two views are compared, and nothing says where they lie."""
    if not cfg.model.get('dense_head'):
        return
    for key, dataset in innermost_datasets(cfg):
        pipeline = dataset.get('pipeline') or []
        kinds = [transform.get('type') for transform in pipeline]
        if 'SCEViews' not in kinds:
            yield f'{key}.pipeline: {NO_BOXES}'
        for number, transform in enumerate(pipeline):
            if transform.get('type') == 'PackInputs' and (
                'view_boxes' not in transform.get('meta_keys', ())
            ):
                yield f'{key}.pipeline[{number}].meta_keys: {NO_BOXES}'


def wrong_hooks(cfg: Config) -> Iterator[str]:
    """Hooks that must be there, or need each other."""
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


def wrong_schedules(cfg: Config) -> Iterator[str]:
    """Warm-ups that are longer than the training, and an unknown length."""
    by_iterations = type_name(cfg.train_cfg) == 'IterBasedTrainLoop'
    epochs = cfg.train_cfg.get('max_epochs')
    schedulers = cfg.get('param_scheduler') or []
    if isinstance(schedulers, dict):
        schedulers = [schedulers]
    for scheduler in schedulers:
        warmup = scheduler.get('warmup_epochs')
        if scheduler.get('type') != 'WarmupCosineLR':
            continue
        if by_iterations and scheduler.get('end') is None:
            yield (
                'param_scheduler.end: an IterBasedTrainLoop has no epochs, '
                'from which WarmupCosineLR takes its length: give it, '
                'max_iters over the steps of an epoch, or keep the loop of '
                'the recipe and set train_cfg.max_epochs'
            )
        if epochs is None:
            continue
        if not isinstance(warmup, int | float) or not 0 <= warmup < epochs:
            yield (
                'param_scheduler.warmup_epochs: must be from 0 to below the '
                f'{counted(epochs, "epoch")} of train_cfg.max_epochs, got '
                f'{warmup!r}: set both, for example --cfg-options '
                f'param_scheduler.warmup_epochs={epochs / 10:g}'
            )
