"""What in a pretraining config cannot work, found before GPUs wait for it.

Everything is looked for at once: names of classes, arguments that a class
refuses, parts that do not fit together, folders that are not there and a work
dir that cannot be written to.
"""

import os
from collections.abc import Iterator

from mmengine.config import Config
from mmengine.registry import DefaultScope

from .config_check import ConfigError
from .config_places import missing_folders, unwritable_work_dir
from .config_types import (
    loader_options,
    missing_types,
    refused_arguments,
    sharding,
    unknown_types,
)
from .device_views import device_view_problems, view_transforms
from .evaluation.rng import preserve_rng


def check_sense(cfg: Config) -> None:
    """Find what cannot work in a config that pretrains an SCE model.

    Model, transforms, hooks and optimiser are built and thrown away; random
    generators are as before. Other configs are let through.

    Raises:
        ConfigError: With every problem that was found, each with its key.
    """
    if (cfg.get('model') or {}).get('type', 'SCE') != 'SCE':
        return
    problems = [*missing_types(cfg), *unknown_types(cfg), *sharding(cfg)]
    if not problems:
        with (
            preserve_rng(),
            DefaultScope.overwrite_default_scope('mmpretrain'),
        ):
            problems += refused_arguments(cfg)
    problems += _numbers(cfg)
    if not problems:
        problems += _combinations(cfg)
    problems += loader_options(cfg)
    for key in cfg:
        problems += missing_folders(cfg[key], key)
    problems += unwritable_work_dir(cfg)
    if problems:
        lines = ''.join(f'\n  - {problem}' for problem in problems)
        raise ConfigError(
            f'{len(problems)} thing(s) in the config cannot work:{lines}'
        )


def _numbers(cfg: Config) -> Iterator[str]:
    """Counts that must be positive whole numbers."""
    loader, loop = (
        cfg.get('train_dataloader') or {},
        cfg.get('train_cfg') or {},
    )
    counts = {
        'train_dataloader.batch_size': loader.get('batch_size'),
        'optim_wrapper.accumulative_counts': (
            cfg.get('optim_wrapper') or {}
        ).get('accumulative_counts', 1),
    }
    if 'max_iters' not in loop:
        counts['train_cfg.max_epochs'] = loop.get('max_epochs')
    for key, value in counts.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            yield f'{key}: must be a positive whole number, got {value!r}'
    workers = loader.get('num_workers', 0)
    if (
        isinstance(workers, bool)
        or not isinstance(workers, int)
        or (workers < 0)
    ):
        yield (
            'train_dataloader.num_workers: must be a whole number, 0 or more, '
            f'got {workers!r}'
        )


def _combinations(cfg: Config) -> Iterator[str]:
    """Parts that are right by themselves and not together."""
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
    for key, transform in view_transforms(cfg):
        views = len(transform['views'])
        if views < max(2, targets):
            yield (
                f'{key}.views: {views} view(s), but the model needs at least '
                f'{max(2, targets)} (num_target_views={targets})'
            )
    yield from device_view_problems(cfg)
    hooks = [hook['type'] for hook in cfg.get('custom_hooks') or []]
    if hooks.count('MomentumUpdateHook') != 1:
        yield (
            'custom_hooks: exactly one MomentumUpdateHook is needed, got '
            f'{hooks.count("MomentumUpdateHook")}'
        )
    checkpoint = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    if 'PreemptionHook' in hooks and (
        checkpoint.get('type') != 'DurableCheckpointHook'
    ):
        yield (
            'default_hooks.checkpoint.type: PreemptionHook saves through '
            f'DurableCheckpointHook, got {checkpoint.get("type")!r}'
        )
    yield from _schedules(cfg)


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
                f'{epochs} epochs of train_cfg.max_epochs, got {warmup!r}'
            )


def _processes(cfg: Config) -> int:
    """Number of processes that the launcher has started."""
    variable = {'pytorch': 'WORLD_SIZE', 'slurm': 'SLURM_NTASKS'}
    name = variable.get(cfg.get('launcher', 'none'), '')
    return int(os.environ.get(name, '1'))
