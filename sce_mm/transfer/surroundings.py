"""What else in a config decides whether pretrained weights count."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

from .problems import first_names

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
# Keys that name weights, and values that can be nothing else.
_WEIGHT_KEY = re.compile(r'pretrained|checkpoint|ckpt|load_from|^weights$')
_WEIGHT_FILE = re.compile(
    r'[^{]+\.(pth|pt|pkl|ckpt|safetensors|bin|npz|npy|tar)|\w[\w-]*://.+', re.I
)


def walk(node: Any, where: str = '') -> Iterator[tuple[str, Any]]:
    """Every value in a config, whatever it is, with its path.

    Args:
        node: Dict or list.
        where: Path of it, as Python writes it: ``model.neck[0]``.
    """
    if isinstance(node, Mapping):
        items = [
            (f'{where}.{key}' if where else str(key), value)
            for key, value in node.items()
        ]
    else:
        items = [(f'{where}[{i}]', value) for i, value in enumerate(node)]
    for path, value in items:
        yield path, value
        if isinstance(value, Mapping | list | tuple):
            yield from walk(value, path)


def named_weights(cfg: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Everything in a config that loads weights, with what it loads.

    In the model these are ``Pretrained`` initialisers, ``pretrained`` of old
    configs, checkpoints of teachers, language models and any other name of a
    weight file; elsewhere ``load_from`` and checkpoints of hooks.

    Args:
        cfg: Of a whole run.
    """
    parts = {k: cfg.get(k) for k in ('load_from', 'custom_hooks', 'model')}
    for path, value in walk({k: v for k, v in parts.items() if v}):
        key = path.rpartition('.')[2]
        named = bool(_WEIGHT_KEY.search(key))
        named |= path.endswith('language_model.name')
        if isinstance(value, str | os.PathLike):
            value = os.fspath(value)
            if path.startswith('model.'):
                named = named or bool(_WEIGHT_FILE.fullmatch(value))
            if value and named:
                yield path, value
        elif value is True and 'pretrained' in key:
            yield path, 'the weights of its library'


def transforms(node: Any) -> Iterator[dict[str, Any]]:
    """Every dict of a config that names a class, at whatever depth."""
    if isinstance(node, dict):
        if 'type' in node:
            yield node
        node = node.values()
    if not isinstance(node, str) and hasattr(node, '__iter__'):
        for item in node:
            if isinstance(item, dict | list | tuple):
                yield from transforms(item)


def other_weights(cfg: Mapping[str, Any], path: str) -> Iterator[str]:
    """What a model loads from elsewhere, one line each.

    Args:
        cfg: Of a whole run.
        path: Of the file that its backbone loads.
    """
    for where, value in named_weights(cfg):
        if value != path and where.startswith('model.'):
            yield f'{where} loads {value}, which is not compared with the file'


def pipeline_problems(cfg: Mapping[str, Any]) -> Iterator[str]:
    """Pipelines that normalise pixels before the data preprocessor does.

    Args:
        cfg: Of a whole run.
    """
    for loader in LOADERS:
        names = [
            transform['type'] for transform in transforms(cfg.get(loader))
        ]
        names = [str(getattr(name, '__name__', name)) for name in names]
        if any(name.rsplit('.', 1)[-1] == 'Normalize' for name in names):
            yield (
                f'{loader} has Normalize in its pipeline, and the data '
                'preprocessor normalises as well: take it out of the pipeline'
            )


def parameter_groups(
    model: nn.Module, optim_wrapper: Mapping[str, Any] | None
) -> list[dict[str, Any]]:
    """Groups of parameters as the optimiser of a config has them.

    Args:
        model: That it is for.
        optim_wrapper: Of the config; None, or one of several optimisers,
            gives no groups.

    Raises:
        ValueError: The optimiser cannot be built.
    """
    if not optim_wrapper or 'optimizer' not in optim_wrapper:
        return []
    constructor = {
        'type': optim_wrapper.get(
            'constructor', 'DefaultOptimWrapperConstructor'
        ),
        # Without the scaler of mixed precision, which wants a GPU.
        'optim_wrapper_cfg': {
            'type': 'OptimWrapper',
            'optimizer': optim_wrapper['optimizer'],
        },
        'paramwise_cfg': optim_wrapper.get('paramwise_cfg'),
    }
    try:
        wrapper = OPTIM_WRAPPER_CONSTRUCTORS.build(constructor)(model)
    except Exception as error:
        raise ValueError(f'optim_wrapper cannot be built: {error}') from error
    return wrapper.param_groups


def rate_problems(
    parts: Mapping[str, nn.Module], groups: Iterable[Mapping[str, Any]]
) -> Iterator[str]:
    """Pretrained parameters that no step of the optimiser changes.

    Args:
        parts: That load the file, by their names in the model.
        groups: Of the optimiser; none says nothing.
    """
    # A warm-up may begin at zero.
    rates = {
        parameter: group.get('initial_lr', group['lr'])
        for group in groups
        for parameter in group['params']
    }
    still = [
        f'{part}.{name}'
        for part, module in parts.items()
        for name, parameter in module.named_parameters()
        if parameter.requires_grad and not rates.get(parameter)
    ]
    if rates and still:
        yield (
            f'{len(still)} pretrained parameters have a learning rate of zero '
            f'({first_names(still)}): take lr_mult=0 out of '
            'optim_wrapper.paramwise_cfg'
        )
