"""What else in a config decides whether pretrained weights count."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

from .problems import first_names

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


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
