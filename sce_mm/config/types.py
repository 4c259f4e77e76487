"""Find parts of a config that are no dicts, or whose class does not exist.

Each function yields one line a problem, which begins with its key.
"""

import inspect
from collections.abc import Iterator
from typing import Any

from mmengine import registry
from mmengine.config import Config
from mmengine.registry import Registry
from mmpretrain.registry import DATASETS
from torch.utils.data import DataLoader

from ..utils.checks import did_you_mean
from .names import arguments_of, wrong_arguments
from .overrides import not_a_flag
from .parts import Part, items_of, loaders, parts
from .reading import walk

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
# In names of classes that spread a model or make the steps themselves.
_SHARDING = ('Flexible', 'FullySharded', 'FSDP', 'DeepSpeed', 'ColossalAI')


def wrong_types(cfg: Config) -> Iterator[str]:
    """Sections that are no dict where one is needed, and so on."""
    for key, kind in _SECTIONS.items():
        value = cfg.get(key)
        if value is not None and not isinstance(value, kind):
            needed = 'a dict' if kind is dict else 'a list of dicts'
            yield f'{key}: must be {needed}, got {value!r}'
    for name, hook in items_of(cfg.get('default_hooks')):
        if hook is not None and not isinstance(hook, dict):
            yield f'default_hooks.{name}: must be a dict, got {hook!r}'


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


def unknown_types(cfg: Config) -> Iterator[str]:
    """Class names that the registry of their place does not have."""
    for path, node, known in _built(cfg):
        name = node.get('type')
        if isinstance(name, str):
            bare = _bare(name)
            # A path is imported.
            if bare not in known and '.' not in bare:
                hint = did_you_mean(bare, [*known])
                yield f'{path}.type: there is no {name!r} here{hint}'
        elif 'type' in node and not callable(name):
            yield f'{path}.type: must be the name of a class, got {name!r}'


def text_flags(cfg: Config) -> Iterator[str]:
    """Texts such as ``no`` where True or False is expected: all are true."""
    asked: list[tuple[str, dict, type]] = [
        (path, loader, DataLoader) for path, loader in loaders(cfg)
    ]
    for path, node, known in _built(cfg):
        name = node.get('type')
        cls = known.get(_bare(name)) if isinstance(name, str) else name
        if inspect.isclass(cls):
            asked.append((path, node, cls))
    for path, node, cls in asked:
        for key, argument in arguments_of(cls).items():
            value = node.get(key)
            if isinstance(value, str) and _is_flag(argument):
                yield f'{path}.{key}: {not_a_flag(value)}'


def _is_flag(argument: inspect.Parameter) -> bool:
    """Whether an argument takes True and False, and no text."""
    kind = inspect.formatannotation(argument.annotation).strip("'")
    return 'str' not in kind and (
        isinstance(argument.default, bool)
        or kind in ('bool', 'bool | None', 'Optional[bool]')
    )


def _built(cfg: Config) -> Iterator[tuple[str, dict, dict[str, Any]]]:
    """Path and content of what may name a class, and the classes there."""
    placed = {part.key: _classes(part.registry) for part in parts(cfg)}
    anywhere = {
        name: cls
        for parent in vars(registry).values()
        if isinstance(parent, Registry)
        for member in (parent, *parent.children.values())
        for name, cls in _classes(member).items()
    }
    # Variables of a config stand beside the parts; nothing builds them.
    tops = {key.partition('.')[0].partition('[')[0] for key in placed}
    for path, node in walk({key: cfg[key] for key in tops if key in cfg}):
        # A norm to clip at is no class.
        if isinstance(node, dict) and not path.endswith('clip_grad'):
            yield path, node, placed.get(path, anywhere)


def _bare(name: str) -> str:
    return name.removeprefix('mmpretrain.').removeprefix('mmengine.')


def _classes(member: Registry) -> dict[str, Any]:
    """Classes of pretraining, in a registry and those above it, by name."""
    found = _classes(member.parent) if member.parent else {}
    if member.scope in ('mmengine', 'mmpretrain'):
        member.import_from_location()
        found |= member.module_dict
    return found


def sharding(cfg: Config) -> Iterator[str]:
    """Ways to spread one model over processes, none of which works here."""
    named = {
        f'{section}.type': (cfg.get(section) or {}).get('type')
        for section in ('strategy', 'model_wrapper_cfg', 'optim_wrapper')
    }
    for key, name in {'runner_type': cfg.get('runner_type'), **named}.items():
        if (name and key == 'strategy.type') or any(
            word in str(name) for word in _SHARDING
        ):
            yield (
                f'{key}: {name} is not supported, as are all ways to split '
                'the parameters: the momentum encoder is an average of '
                'whole tensors after each step. Use data parallelism '
                '(tools/dist_train.sh without this key); for memory, --amp '
                'or optim_wrapper.accumulative_counts'
            )


def loader_options(cfg: Config) -> Iterator[str]:
    """Options that the loader of torch does not take."""
    known = {
        *inspect.signature(DataLoader.__init__).parameters,
        'num_batch_per_epoch',
    } - {'self'}
    for path, loader in loaders(cfg):
        for key in loader:
            if key not in known:
                yield f'{path}: no option {key!r}{did_you_mean(key, known)}'


def dataset_arguments(cfg: Config) -> Iterator[str]:
    """Arguments that data sets of mmpretrain and mmengine do not take."""
    for part in parts(cfg):
        if part.registry is DATASETS and not is_ours(part):
            cls = DATASETS.get(part.node['type'])
            if cls is not None:
                yield from wrong_arguments(part.node, part.key, cls)


def is_ours(part: Part) -> bool:
    """Whether the class of a part is one of this package."""
    cls = part.node['type']
    if isinstance(cls, str):
        cls = part.registry.get(cls)
    return cls is not None and cls.__module__.startswith('sce_mm.')
