"""Classes of a pretraining config, and what they say to their arguments.

Part of :func:`~sce_mm.config_sense.check_sense`: each function yields one line
a problem, which begins with its key.
"""

import inspect
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from mmengine import registry
from mmengine.config import Config
from mmengine.registry import Registry
from mmpretrain.registry import HOOKS, MODELS, OPTIMIZERS, TRANSFORMS
from torch import nn
from torch.utils.data import DataLoader

# In names of classes that spread a model or make the steps themselves.
_SHARDING = ('Flexible', 'FullySharded', 'FSDP', 'DeepSpeed', 'ColossalAI')


def missing_types(cfg: Config) -> Iterator[str]:
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


def sharding(cfg: Config) -> Iterator[str]:
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


def loader_options(cfg: Config) -> Iterator[str]:
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


def unknown_types(cfg: Config) -> Iterator[str]:
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


def refused_arguments(cfg: Config) -> Iterator[str]:
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
