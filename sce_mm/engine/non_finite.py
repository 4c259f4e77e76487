"""Which tensor was the first that is not finite."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor

from ..models import SCE


class NonFiniteError(ArithmeticError):
    """Loss or gradients are not finite; the optimiser step was not made."""


def is_finite(value: Any) -> bool:
    """Whether all tensors in a nest of dicts, lists and tuples are finite."""
    if isinstance(value, Tensor):
        return not value.is_floating_point() or bool(
            torch.isfinite(value).all()
        )
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return all(is_finite(item) for item in value)
    return True


def all_finite(tensors: Sequence[Tensor]) -> Tensor:
    """Whether all are finite, one boolean on their device.

    One pass that reads each tensor once; nothing waits for the host until the
    result is used.
    """
    norms = torch._foreach_norm(list(tensors))
    return torch.isfinite(torch.stack([n.float() for n in norms])).all()


def first_non_finite(model: BaseModel, batches: Iterable[dict]) -> str:
    """Name the first tensor that goes wrong in the passes of a step.

    Looks at the images, the weights, every module's input and output in the
    order of computation, and the gradients from the loss backwards. The
    passes are made again, so buffers and gradients change.

    Args:
        model: In the state before the step, not wrapped.
        batches: As the loader gives them.

    Returns:
        A sentence; also if everything is finite this time.
    """
    batches = list(batches)
    for index, batch in enumerate(batches):
        if not is_finite(batch.get('inputs')):
            return f'the images of batch {index} of the step are not finite'
    for name, tensor in model.state_dict().items():
        # The failed pass has written to these, and training does not read
        # them.
        if 'running_' not in name and not is_finite(tensor):
            return f'{name} (a weight or buffer) is not finite'
    if isinstance(model, SCE):
        # The failed step has left its keys behind.
        model._pending.clear()
    model.train()
    model.zero_grad()
    for batch in batches:
        if found := _first_in_pass(model, batch):
            return found
    for name, parameter in reversed(list(model.named_parameters())):
        if parameter.grad is not None and not is_finite(parameter.grad):
            return (
                f'the gradient of {name} is not finite, all outputs are (the '
                'last parameter of the network whose gradient is not)'
            )
    return (
        'everything is finite when the step is made again: an overflow of '
        'lower precision, or a device that errs'
    )


def _first_in_pass(model: BaseModel, batch: dict) -> str | None:
    """Forward and backward with every module watched."""
    found: list[str] = []
    handles = []
    for name, module in model.named_modules():
        label = f'{name or "the model"} ({type(module).__name__})'
        handles += [
            module.register_forward_pre_hook(
                lambda m, inputs, label=label: _note(
                    found, inputs, f'the input of {label}'
                )
            ),
            module.register_forward_hook(
                lambda m, inputs, output, label=label: _note(
                    found, output, f'the output of {label}'
                )
            ),
        ]
    try:
        losses = model(**model.data_preprocessor(batch, True), mode='loss')
    finally:
        for handle in handles:
            handle.remove()
    if found:
        return found[0]
    loss, _ = model.parse_losses(losses)
    loss.backward()
    return None


def _note(found: list[str], value: Any, what: str) -> None:
    if not found and not is_finite(value):
        found.append(f'{what} is not finite')
