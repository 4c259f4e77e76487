"""Classes that a pretraining config names.

Part of :func:`~sce_mm.config.check.check_sense`: each function yields one line
a problem, which begins with its key.
"""

import inspect
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from mmengine import registry
from mmengine.config import Config
from mmengine.registry import Registry
from mmpretrain.registry import DATASETS
from torch.utils.data import DataLoader

from .names import nearest, wrong_arguments
from .parts import Part, evaluation_loaders, parts

# In names of classes that spread a model or make the steps themselves.
_SHARDING = ('Flexible', 'FullySharded', 'FSDP', 'DeepSpeed', 'ColossalAI')
_DEFAULT_HOOKS = (
    'checkpoint',
    'logger',
    'param_scheduler',
    'runtime_info',
    'sampler_seed',
    'timer',
)


def missing_types(cfg: Config) -> Iterator[str]:
    """Parts that do not say of what class they are."""
    loop = cfg.get('train_cfg')
    if not isinstance(loop, dict) or not {'type', 'by_epoch'} & set(loop):
        yield (
            "train_cfg: must be a dict with a type, 'ResumableTrainLoop' for "
            f'example, or by_epoch; got {loop!r}'
        )
    for part in parts(cfg):
        node = part.node
        if not isinstance(node, dict) or (part.typed and 'type' not in node):
            yield f'{part.key}: must be a dict with a type, got {part.node!r}'


def sharding(cfg: Config) -> Iterator[str]:
    """Ways to spread one model over processes, none of which works here.

    Hooks hold the runner to its optimiser wrapper and the momentum encoder to
    whole tensors of the online one; both are others under these.
    """
    named = {
        'runner_type': cfg.get('runner_type'),
        'strategy.type': (cfg.get('strategy') or {}).get('type'),
        'model_wrapper_cfg.type': (cfg.get('model_wrapper_cfg') or {}).get(
            'type'
        ),
        'optim_wrapper.type': (cfg.get('optim_wrapper') or {}).get('type'),
    }
    for key, name in named.items():
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
    loaders = [('train_dataloader', cfg.get('train_dataloader') or {})]
    for where, loader in [*loaders, *evaluation_loaders(cfg)]:
        for key in loader:
            if key not in known:
                yield f'{where}: no option {key!r}{nearest(key, known)}'


def dataset_arguments(cfg: Config) -> Iterator[str]:
    """Arguments that data sets of mmpretrain and mmengine do not take."""
    for part in parts(cfg):
        if part.registry is DATASETS and not is_ours(part):
            cls = DATASETS.get(part.node['type'])
            if cls is not None:
                yield from wrong_arguments(part.node, part.key, cls)


def misspelt_hooks(cfg: Config) -> Iterator[str]:
    """Names that are almost one of mmengine's default hooks.

    Its own one, with its default settings, would run beside ours.
    """
    for name in cfg.get('default_hooks') or {}:
        if name not in _DEFAULT_HOOKS:
            near = get_close_matches(name, _DEFAULT_HOOKS, 1, 0.8)
            if near:
                yield (
                    f'default_hooks.{name}: mmengine has no default hook of '
                    f'this name (did you mean {near[0]!r}?)'
                )


def unknown_types(cfg: Config) -> Iterator[str]:
    """Class names that the registry of their place does not have."""
    anywhere = _registered()
    placed = [part for part in parts(cfg) if isinstance(part.node, dict)]
    for part in placed:
        yield from _wrong_type(part.key, part.node, _names(part.registry))
    # Within the parts there are more, of registries that vary.
    keys = {part.key for part in placed}
    for part in placed:
        for name, value in part.node.items():
            yield from _walk(value, f'{part.key}.{name}', keys, anywhere)


def _walk(
    node: Any, path: str, done: set[str], known: set[str]
) -> Iterator[str]:
    if path in done:
        return
    if isinstance(node, list | tuple):
        for index, item in enumerate(node):
            yield from _walk(item, f'{path}[{index}]', done, known)
    if not isinstance(node, dict):
        return
    # A norm to clip at is no class.
    if not path.endswith('clip_grad'):
        yield from _wrong_type(path, node, known)
    for key, value in node.items():
        yield from _walk(value, f'{path}.{key}', done, known)


def _wrong_type(path: str, node: dict, known: set[str]) -> Iterator[str]:
    name = node.get('type')
    if 'type' in node and not isinstance(name, str) and not callable(name):
        yield f'{path}.type: must be the name of a class, got {name!r}'
    if isinstance(name, str):
        bare = name.removeprefix('mmpretrain.').removeprefix('mmengine.')
        # A path is imported.
        if bare not in known and '.' not in bare:
            hint = nearest(bare, known)
            yield f'{path}.type: there is no {name!r} here{hint}'


def _registered() -> set[str]:
    names = set()
    for parent in vars(registry).values():
        if isinstance(parent, Registry):
            names |= _names(parent)
            for child in parent.children.values():
                names |= _names(child)
    return names


def _names(member: Registry) -> set[str]:
    """Of the classes in a registry and those above it, of pretraining."""
    names: set[str] = set()
    current: Registry | None = member
    while current is not None:
        if current.scope in ('mmengine', 'mmpretrain'):
            current.import_from_location()
            names |= set(current.module_dict)
        current = current.parent
    return names


def is_ours(part: Part) -> bool:
    """Whether the class of a part is one of this package."""
    cls = part.node['type']
    if isinstance(cls, str):
        cls = part.registry.get(cls)
    return cls is not None and cls.__module__.startswith('sce_mm.')
