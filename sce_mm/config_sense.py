"""What in a pretraining config cannot work, found before GPUs wait for it.

Everything is looked for at once: names of classes, arguments that a class
refuses, parts that do not fit together, folders that are not there and a work
dir that cannot be written to.
"""

import inspect
import os
import tempfile
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from mmengine import registry
from mmengine.config import Config
from mmengine.registry import DefaultScope, Registry
from mmpretrain.registry import (
    DATASETS,
    HOOKS,
    MODELS,
    OPTIMIZERS,
    TRANSFORMS,
)
from torch import nn
from torch.utils.data import DataLoader

from .config_check import ConfigError
from .evaluation.rng import preserve_rng

# In names of classes that spread a model or make the steps themselves.
_SHARDING = ('Flexible', 'FullySharded', 'FSDP', 'DeepSpeed', 'ColossalAI')


def check_sense(cfg: Config) -> None:
    """Find what cannot work in a config that pretrains an SCE model.

    Model, transforms, hooks and optimiser are built and thrown away; random
    generators are as before. Other configs are let through.

    Raises:
        ConfigError: With every problem that was found, each with its key.
    """
    if (cfg.get('model') or {}).get('type', 'SCE') != 'SCE':
        return
    problems = [*_missing_types(cfg), *_unknown_types(cfg), *_sharding(cfg)]
    if not problems:
        with (
            preserve_rng(),
            DefaultScope.overwrite_default_scope('mmpretrain'),
        ):
            problems += _refused_arguments(cfg)
    problems += _numbers(cfg)
    if not problems:
        problems += _combinations(cfg)
    problems += _loader(cfg)
    for key in cfg:
        problems += _missing_folders(cfg[key], key)
    problems += _work_dir(cfg)
    if problems:
        lines = ''.join(f'\n  - {problem}' for problem in problems)
        raise ConfigError(
            f'{len(problems)} thing(s) in the config cannot work:{lines}'
        )


def _missing_types(cfg: Config) -> Iterator[str]:
    """Parts that do not say of what class they are."""
    loader = cfg.get('train_dataloader') or {}
    dataset = loader.get('dataset') or {}
    parts = {
        'model': cfg.get('model'),
        'optim_wrapper.optimizer': (cfg.get('optim_wrapper') or {}).get(
            'optimizer'
        ),
        'train_dataloader.dataset': dataset,
        'train_dataloader.sampler': loader.get('sampler'),
        'train_dataloader.collate_fn': loader.get('collate_fn', {'type': ''}),
        **{
            f'custom_hooks[{index}]': hook
            for index, hook in enumerate(cfg.get('custom_hooks') or [])
        },
        **{
            f'train_dataloader.dataset.pipeline[{index}]': transform
            for index, transform in enumerate(dataset.get('pipeline') or [])
        },
    }
    loop = cfg.get('train_cfg')
    if not isinstance(loop, dict) or not {'type', 'by_epoch'} & set(loop):
        yield (
            "train_cfg: must be a dict with a type, 'ResumableTrainLoop' for "
            f'example, or by_epoch; got {loop!r}'
        )
    schedulers = cfg.get('param_scheduler') or []
    if isinstance(schedulers, dict):
        schedulers = [schedulers]
    parts |= {
        f'param_scheduler[{index}]': scheduler
        for index, scheduler in enumerate(schedulers)
    }
    for key, part in parts.items():
        if not isinstance(part, dict) or 'type' not in part:
            yield f'{key}: must be a dict with a type, got {part!r}'


def _sharding(cfg: Config) -> Iterator[str]:
    """Ways to spread one model over processes, none of which works here.

    Hooks hold the runner to its optimiser wrapper and the momentum encoder to
    whole tensors of the online one; both are others under these.
    """
    parts = {
        'runner_type': cfg.get('runner_type'),
        'strategy.type': (cfg.get('strategy') or {}).get('type'),
        'model_wrapper_cfg.type': (cfg.get('model_wrapper_cfg') or {}).get(
            'type'
        ),
        'optim_wrapper.type': (cfg.get('optim_wrapper') or {}).get('type'),
    }
    for key, name in parts.items():
        if key == 'strategy.type' and name is not None:
            refused = True
        else:
            refused = any(word in str(name) for word in _SHARDING)
        if refused:
            yield (
                f'{key}: {name} is not supported. FSDP, DeepSpeed and '
                'ColossalAI split or replace the parameters and the '
                'optimiser step, but the momentum encoder is an average of '
                'whole tensors after each step, and the saved state and the '
                'numerical guard go by it. Data parallelism is what works '
                '(tools/dist_train.sh without this key); for memory, use '
                '--amp or optim_wrapper.accumulative_counts'
            )


def _loader(cfg: Config) -> Iterator[str]:
    """Options that the loader of torch does not take."""
    known = {
        *inspect.signature(DataLoader.__init__).parameters,
        'num_batch_per_epoch',
    } - {'self'}
    for key in cfg.get('train_dataloader') or {}:
        if key not in known:
            near = get_close_matches(key, sorted(known), 1, 0.6)
            hint = f' (did you mean {near[0]!r}?)' if near else ''
            yield f'train_dataloader: no option {key!r}{hint}'


def _unknown_types(cfg: Config) -> Iterator[str]:
    """Class names that no registry of pretraining has."""
    known = _registered()
    for section in (
        'model',
        'train_dataloader',
        'optim_wrapper',
        'param_scheduler',
        'train_cfg',
        'default_hooks',
        'custom_hooks',
    ):
        yield from _walk_types(cfg.get(section), section, known)


def _walk_types(node: Any, path: str, known: set[str]) -> Iterator[str]:
    if isinstance(node, list | tuple):
        for index, item in enumerate(node):
            yield from _walk_types(item, f'{path}[{index}]', known)
    if not isinstance(node, dict):
        return
    name = node.get('type')
    if 'type' in node and not isinstance(name, str) and not callable(name):
        yield f'{path}.type: must be the name of a class, got {name!r}'
    # A norm to clip at is no class; a path is imported.
    if isinstance(name, str) and not path.endswith('clip_grad'):
        bare = name.removeprefix('mmpretrain.').removeprefix('mmengine.')
        if bare not in known and '.' not in bare:
            near = get_close_matches(bare, sorted(known), 1, 0.6)
            hint = f' (did you mean {near[0]!r}?)' if near else ''
            yield f'{path}.type: there is no {name!r}{hint}'
    for key, value in node.items():
        yield from _walk_types(value, f'{path}.{key}', known)


def _registered() -> set[str]:
    names = set()
    for parent in vars(registry).values():
        if not isinstance(parent, Registry):
            continue
        family = [parent, *parent.children.values()]
        for member in family:
            if member.scope in ('mmengine', 'mmpretrain'):
                member.import_from_location()
                names |= set(member.module_dict)
    return names


def _refused_arguments(cfg: Config) -> Iterator[str]:
    """What the classes themselves say to their arguments."""
    parts = [('model', MODELS, cfg.model)]
    dataset = (cfg.get('train_dataloader') or {}).get('dataset') or {}
    path = 'train_dataloader.dataset'
    while 'dataset' in dataset:
        dataset, path = dataset['dataset'], f'{path}.dataset'
    parts += [
        (f'{path}.pipeline[{index}]', TRANSFORMS, transform)
        for index, transform in enumerate(dataset.get('pipeline') or [])
    ]
    hooks = [
        (f'custom_hooks[{index}]', hook)
        for index, hook in enumerate(cfg.get('custom_hooks') or [])
    ] + [
        (f'default_hooks.{name}', hook)
        for name, hook in (cfg.get('default_hooks') or {}).items()
    ]
    # Some of mmengine's need a runner to be built.
    parts += [(key, HOOKS, hook) for key, hook in hooks if _is_ours(hook)]
    optimizer = (cfg.get('optim_wrapper') or {}).get('optimizer') or {}
    parameters = [nn.Parameter(nn.Linear(1, 1).weight)]
    parts.append(
        (
            'optim_wrapper.optimizer',
            OPTIMIZERS,
            {**optimizer, 'params': parameters},
        )
    )
    for where, builder, part in parts:
        try:
            builder.build({k: v for k, v in part.items() if k != 'priority'})
        # Whatever a class raises is for the user's eyes.
        except Exception as error:
            yield f'{where}: {type(error).__name__}: {error}'


def _is_ours(hook: Any) -> bool:
    cls = HOOKS.get(hook['type']) if hook else None
    return cls is not None and cls.__module__.startswith('sce_mm.')


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
    for key, transform in _view_transforms(cfg):
        views = len(transform['views'])
        if views < max(2, targets):
            yield (
                f'{key}.views: {views} view(s), but the model needs at least '
                f'{max(2, targets)} (num_target_views={targets})'
            )
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


def _view_transforms(cfg: Config) -> Iterator[tuple[str, Any]]:
    dataset, path = cfg.train_dataloader.dataset, 'train_dataloader.dataset'
    while 'dataset' in dataset:
        dataset, path = dataset['dataset'], f'{path}.dataset'
    for index, transform in enumerate(dataset.get('pipeline') or []):
        if transform.get('type') == 'SCEViews':
            yield f'{path}.pipeline[{index}]', transform


def _missing_folders(node: Any, path: str) -> Iterator[str]:
    """``data_root`` of any data set, if it is a local folder."""
    if isinstance(node, list | tuple):
        for index, item in enumerate(node):
            yield from _missing_folders(item, f'{path}[{index}]')
    if not isinstance(node, dict):
        return
    # Variables of a config stand at the top; only data sets are read.
    roots = node.get('data_root', '') if 'type' in node else ''
    for root in roots if isinstance(roots, list | tuple) else [roots]:
        if not isinstance(root, str):
            yield f'{path}.data_root: must name a folder, got {root!r}'
        elif (
            root and '://' not in root and not Path(root).expanduser().exists()
        ):
            yield f'{path}.data_root: {_what_goes_where(node, root)}'
    for key, value in node.items():
        yield from _missing_folders(value, f'{path}.{key}')


def _what_goes_where(dataset: dict, root: str) -> str:
    """Message of a missing folder: the data set's own, if it is ours.

    Others may download what is missing when they are built.
    """
    cls = DATASETS.get(dataset['type'])
    if cls is not None and cls.__module__.startswith('sce_mm.'):
        try:
            DATASETS.build({**dataset, 'pipeline': []})
        except (OSError, ValueError) as error:
            return str(error)
    return f'no folder at {root}'


def _work_dir(cfg: Config) -> Iterator[str]:
    work_dir = cfg.get('work_dir')
    if work_dir is None:
        return
    try:
        os.makedirs(work_dir, exist_ok=True)
        with tempfile.TemporaryFile(dir=work_dir):
            pass
    except (OSError, TypeError) as error:
        yield (
            f'work_dir: cannot write to {work_dir} '
            f'({getattr(error, "strerror", None) or error}); name another one '
            'with --work-dir'
        )


def _processes(cfg: Config) -> int:
    """Number of processes that the launcher has started."""
    variable = {'pytorch': 'WORLD_SIZE', 'slurm': 'SLURM_NTASKS'}
    name = variable.get(cfg.get('launcher', 'none'), '')
    return int(os.environ.get(name, '1'))
