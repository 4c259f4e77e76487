"""What is wrong with a transfer, and what to change, in words."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

from ...checkpoints.errors import EXTRACT
from ...config.reading import walk
from ..describe import STORED, same
from .loaded_tensors import Arrival

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
# Keys that name weights, and values that can be nothing else.
_WEIGHT_KEY = re.compile(r'pretrained|checkpoint|ckpt|load_from|^weights$')
_WEIGHT_FILE = re.compile(
    r'[^{]+\.(pth|pt|pkl|ckpt|safetensors|bin|npz|npy|tar)|\w[\w-]*://.+', re.I
)

# Where a config sets what is compared.
SETTING = {
    'channel_order': 'model.data_preprocessor.bgr_to_rgb (to_rgb in '
    'mmpretrain)',
    'mean': 'model.data_preprocessor.mean',
    'std': 'model.data_preprocessor.std',
    'style': 'model.backbone.style, and that of a shared head',
}


def tensor_problems(arrival: Arrival, total: int) -> Iterator[str]:
    """Tensors that are not where they belong.

    Args:
        arrival: Where each tensor stands.
        total: Number of tensors of the file.
    """
    if arrival.wrong:
        yield (
            f'{len(arrival.wrong)} of {total} tensors are not those of the '
            f'file ({first_names(arrival.wrong)}): something initialised or '
            'loaded over them, or the config names another file'
        )
    if arrival.untouched:
        yield (
            f'{len(arrival.untouched)} tensors are not in the file and keep '
            f'their random values ({first_names(arrival.untouched)})'
        )
    if arrival.left_over:
        yield (
            f'{len(arrival.left_over)} tensors of the file went nowhere '
            f'({first_names(arrival.left_over)})'
        )


def setting_problems(
    settings: Iterable[tuple[str, Any, Any]], allow_unknown: bool
) -> Iterator[str]:
    """Pixels or strides that are not those of the pretraining.

    Args:
        settings: Name, what the file asks for, what the model has.
        allow_unknown: Let through what the file does not say.
    """
    for name, expected, value in settings:
        if expected is None:
            if not allow_unknown:
                yield (
                    f'the file does not say its {name}: export it again '
                    f'with --{name.replace("_", "-")} of {EXTRACT}, or set '
                    'allow_unknown=True in the hook'
                )
        elif not same(value, expected):
            yield (
                f'{name} is {value} here and was {expected} in the '
                f'pretraining: change {SETTING[name]}'
            )


def frozen_problems(
    frozen: tuple[str, ...], norms: Mapping[str, int]
) -> Iterator[str]:
    """Pretrained parts that would not be trained.

    Args:
        frozen: Names of parameters.
        norms: Of :func:`~sce_mm.transfer.describe.norm_modes`.
    """
    if frozen:
        yield (
            f'{len(frozen)} pretrained parameters are frozen '
            f'({first_names(frozen)}): set frozen_stages=-1 and '
            'norm_cfg.requires_grad=True, or allow_frozen=True in the hook'
        )
    stored = sum(n for mode, n in norms.items() if mode.endswith(STORED))
    if stored:
        yield (
            f'{stored} batch norm layers would run on stored statistics: set '
            'norm_eval=False (in a shared head too), or allow_frozen=True in '
            'the hook'
        )


def first_names(names: Sequence[str]) -> str:
    """Three of them, for a message."""
    return ', '.join(names[:3]) + (', ...' if len(names) > 3 else '')


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
