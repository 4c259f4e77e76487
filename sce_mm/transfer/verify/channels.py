"""Find a part of a model that expects other channels than it gets.

A neck or head whose ``in_channels`` are not those of the backbone can be
built, and its error in the first iteration names neither.
"""

import re
from collections.abc import Iterator
from types import TracebackType

import torch
from torch import Tensor, nn

# Pixels a side of the image that is tried; the coarsest maps have stride 128.
_SIDE = 128
# How torch says it of a convolution and of a linear layer.
_WRONG = (
    re.compile(r'to have (?P<expected>\d+) channels, but got (?P<got>\d+) '),
    re.compile(r'multiplied \(\d+x(?P<got>\d+) and (?P<expected>\d+)x'),
)


def channel_problems(model: nn.Module) -> Iterator[str]:
    """A line if a layer cannot take the channels that come to it.

    An empty image goes through the model in evaluation mode. What cannot be
    tried so, as it needs boxes, another size of images or a GPU, is left to
    the first iteration.
    """
    device = next(model.parameters()).device
    image = torch.zeros(1, 3, _SIDE, _SIDE, device=device)
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            maps = model.get_submodule('backbone')(image)
            model(image, mode='tensor')
    except Exception as error:
        found = next(
            filter(None, (x.search(str(error)) for x in _WRONG)), None
        )
        where = _innermost(model, error.__traceback__)
        part = where.partition('.')[0]
        if found and part not in ('', 'backbone'):
            maps = [maps] if isinstance(maps, Tensor) else maps
            widths = [x.shape[1] for x in maps if isinstance(x, Tensor)]
            yield (
                f'model.{where} expects {found["expected"]} channels and gets '
                f'{found["got"]}: the backbone gives {widths}, set the '
                f'in_channels of model.{part} accordingly'
            )
    finally:
        for module, mode in modes.items():
            module.training = mode


def _innermost(model: nn.Module, trace: TracebackType | None) -> str:
    """Name of the innermost module of a model in which an error was raised."""
    names = {module: name for name, module in model.named_modules()}
    found = ''
    while trace is not None:
        module = trace.tb_frame.f_locals.get('self')
        if isinstance(module, nn.Module):
            found = names.get(module) or found
        trace = trace.tb_next
    return found
