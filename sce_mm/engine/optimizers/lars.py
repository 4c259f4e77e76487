"""LARS as MoCo v3 and the official SCE code define it."""

from collections.abc import Iterable
from typing import Any

import torch
from mmpretrain.registry import OPTIMIZERS
from torch import Tensor
from torch.optim import Optimizer


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
    rate inside the buffer, and adapts vectors too unless told otherwise.

    Args:
        params: Parameters or groups.
        lr: Learning rate.
        momentum: Of the buffer. Defaults to 0.9.
        weight_decay: For parameters of two dimensions or more.
        trust_coefficient: Defaults to 0.001.

    Raises:
        ValueError: A number is negative.
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
                raise ValueError(f'{name} must not be negative, got {value}')
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One update of every parameter that has a gradient.

        Args:
            closure: Computes the loss again and returns it, or None.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group['params']:
                if parameter.grad is not None:
                    self._update(parameter, group)
        return loss

    def _update(self, parameter: Tensor, group: dict[str, Any]) -> None:
        direction = parameter.grad
        assert direction is not None
        if parameter.ndim > 1:
            direction = direction.add(parameter, alpha=group['weight_decay'])
            direction = direction * trust_ratio(
                parameter, direction, group['trust_coefficient']
            )
        state = self.state[parameter]
        if 'momentum_buffer' not in state:
            state['momentum_buffer'] = torch.zeros_like(parameter)
        buffer = state['momentum_buffer']
        buffer.mul_(group['momentum']).add_(direction)
        parameter.add_(buffer, alpha=-group['lr'])


def trust_ratio(
    parameter: Tensor, direction: Tensor, coefficient: float
) -> Tensor:
    """``coefficient |p| / |d|``, one where either norm is zero; a scalar."""
    parameter_norm = parameter.norm()
    direction_norm = direction.norm()
    usable = (parameter_norm > 0) & (direction_norm > 0)
    ratio = coefficient * parameter_norm / direction_norm
    return torch.where(usable, ratio, torch.ones_like(ratio))
