"""The learning rate of SCE: linear warm-up, then a cosine, in closed form."""

import math
from typing import Any

from mmengine.optim import OptimWrapper, _ParamScheduler
from mmpretrain.registry import PARAM_SCHEDULERS
from torch.optim import Optimizer

from ...utils.errors import UserError
from ...utils.text import counted
from .schedules import Schedule, cosine, joined, linear


def warmup_cosine(warmup_steps: int, total_steps: int) -> Schedule:
    """Share of the learning rate at each optimiser step.

    ``t / (W - 1)`` for t < W, from 0 to 1; then, from 1 again,
    ``(1 + cos(pi (t - W) / (T - W))) / 2``, which would reach 0 at step T.
    The very first optimiser step therefore has rate zero, as officially.

    >>> share = warmup_cosine(warmup_steps=3, total_steps=7)
    >>> [round(share(t), 3) for t in range(7)]
    [0.0, 0.5, 1.0, 1.0, 0.854, 0.5, 0.146]

    Args:
        warmup_steps: W; a warm-up of one step is at full rate, of none has
            no step.
        total_steps: T.
    """
    return joined(
        [
            linear(0.0, 1.0, warmup_steps),
            cosine(1.0, 0.0, total_steps - warmup_steps + 1),
        ],
        [warmup_steps],
    )


@PARAM_SCHEDULERS.register_module()
class WarmupCosineLR(_ParamScheduler):
    """Linear warm-up and cosine to zero over the whole run.

    mmengine's ``LinearLR`` and ``CosineAnnealingLR`` go by iterations, so
    that with gradient accumulation the rate changes in the middle of an
    optimiser step; they are recursive, and begin the warm-up above zero. Here
    the rate depends on the number of optimiser steps done alone::

        param_scheduler = dict(
            type='WarmupCosineLR', warmup_epochs=10, convert_to_iter_based=True
        )

    The length is that of the run, from ``train_cfg``; a shorter or longer
    recipe changes ``max_epochs`` and nothing else.

    Args:
        optimizer: Optimiser or wrapper that holds the parameter groups.
        warmup_epochs: Epochs of warm-up, fewer than those of the run.
        epoch_length: Iterations of an epoch; the Runner knows it.
        end: Epochs of the run; the Runner knows it.
        last_step: Iterations done, minus one.

    Raises:
        UserError: The warm-up does not end before the run does, or the
            config lacks ``convert_to_iter_based=True``.
    """

    def __init__(
        self,
        optimizer: Optimizer | OptimWrapper,
        warmup_epochs: float,
        epoch_length: int | None = None,
        end: float | None = None,
        last_step: int = -1,
    ) -> None:
        if epoch_length is None or end is None:
            raise UserError(
                'WarmupCosineLR goes step by step and must know how many '
                'there are in an epoch: add convert_to_iter_based=True '
                'beside its type'
            )
        if not 0 <= warmup_epochs < end:
            raise UserError(
                'warmup_epochs must be from 0 to below the '
                f'{counted(end, "epoch")} of the run, got {warmup_epochs}: '
                'for so short a run set param_scheduler.warmup_epochs too'
            )
        self.accumulation = getattr(optimizer, '_accumulative_counts', 1)
        self.share = warmup_cosine(
            round(warmup_epochs * epoch_length / self.accumulation),
            math.ceil(end * epoch_length / self.accumulation),
        )
        super().__init__(optimizer, 'lr', last_step=last_step, by_epoch=False)

    @classmethod
    def build_iter_from_epoch(
        cls, *args: Any, by_epoch: bool = True, **kwargs: Any
    ) -> 'WarmupCosineLR':
        """What ``convert_to_iter_based=True`` calls."""
        return cls(*args, **kwargs)

    def state_dict(self) -> dict:
        """The position; the curve itself follows from config and data."""
        return {
            'last_step': self.last_step,
            '_global_step': self._global_step,
            'base_values': self.base_values,
            '_last_value': self._last_value,
        }

    def jump_to(self, last_step: int) -> None:
        """Give the optimiser the rate of a position."""
        self.last_step = last_step
        self._last_value = self._get_value()
        groups = self.optimizer.param_groups
        for group, value in zip(groups, self._last_value, strict=True):
            group['lr'] = value

    def _get_value(self) -> list[float]:
        share = self.share(self.last_step // self.accumulation)
        return [base * share for base in self.base_values]
