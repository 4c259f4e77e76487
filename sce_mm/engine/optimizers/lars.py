"""LARS as MoCo v3 and the official SCE code define it."""

from collections.abc import Iterable
from typing import Any

import torch
from mmpretrain.registry import OPTIMIZERS
from torch import Tensor
from torch.optim import Optimizer

from ...utils.errors import UserError


@OPTIMIZERS.register_module()
class LARSMoCoV3(Optimizer):
    """Layer-wise adaptive rates, outside the momentum buffer.

    For a parameter p with gradient g, if p has two dimensions or more::

        d = g + weight_decay p
        d = trust_coefficient |p| / |d| d      (d as it is if a norm is zero)

    and for vectors and scalars (norm weights, biases) ``d = g``: neither
    decay nor trust ratio. Then ``buffer = momentum buffer + d`` and
    ``p = p - lr buffer``.

    mmpretrain's ``LARS`` takes the norms of p and g apart, puts the learning
    rate inside the buffer, and by default adapts vectors too.

    Args:
        params: Parameters or groups.
        lr: Learning rate.
        momentum: Momentum of the buffer. Defaults to 0.9.
        weight_decay: Weight decay of parameters of two dimensions or more.
        trust_coefficient: Factor of the trust ratio. Defaults to 0.001.

    Raises:
        UserError: A number is negative.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        trust_coefficient: float = 0.001,
    ) -> None:
        defaults = {
            'lr': lr,
            'momentum': momentum,
            'weight_decay': weight_decay,
            'trust_coefficient': trust_coefficient,
        }
        for name, value in defaults.items():
            if value < 0:
                raise UserError(f'{name} must not be negative, got {value}')
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One update of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            present = [p for p in group['params'] if p.grad is not None]
            for together in batches(present):
                self._update(together, group)
        return loss

    def _update(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        matrices = [p for p in parameters if p.ndim > 1]
        vectors = [p for p in parameters if p.ndim <= 1]
        parameters = matrices + vectors
        directions = adapted(
            matrices, group['weight_decay'], group['trust_coefficient']
        )
        directions += [p.grad for p in vectors if p.grad is not None]
        buffers = [self._buffer(p) for p in parameters]
        torch._foreach_mul_(buffers, group['momentum'])
        torch._foreach_add_(buffers, directions)
        torch._foreach_add_(parameters, buffers, alpha=-group['lr'])

    def _buffer(self, parameter: Tensor) -> Tensor:
        state = self.state[parameter]
        if 'momentum_buffer' not in state:
            state['momentum_buffer'] = torch.zeros_like(parameter)
        return state['momentum_buffer']


def batches(parameters: list[Tensor]) -> list[list[Tensor]]:
    """Parameters that are updated together.

    All of them where a kernel launch costs most; one after the other on a
    processor, where a tensor then stays in the cache from its gradient to its
    update.
    """
    if parameters and parameters[0].device.type != 'cpu':
        return [parameters]
    return [[parameter] for parameter in parameters]


def adapted(
    matrices: list[Tensor], weight_decay: float, coefficient: float
) -> list[Tensor]:
    """``d`` of the class's docstring for each parameter; new tensors.

    All norms stay on the device: nothing waits for the host.
    """
    if not matrices:
        return []
    gradients = [p.grad for p in matrices if p.grad is not None]
    directions = torch._foreach_add(gradients, matrices, alpha=weight_decay)
    sizes = torch.stack(torch._foreach_norm(matrices))
    lengths = torch.stack(torch._foreach_norm(directions))
    usable = (sizes > 0) & (lengths > 0)
    ratios = torch.where(usable, coefficient * sizes / lengths, 1.0)
    torch._foreach_mul_(directions, ratios.unbind())
    return list(directions)
