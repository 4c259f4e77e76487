"""Schedule numbers of the model, such as lambda and the temperatures."""

from collections.abc import Sequence
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS
from torch import nn

from ...utils.distributed import unwrapped
from ...utils.errors import UserError
from ..schedulers.schedules import (
    Schedule,
    check_phases,
    current_step,
    schedule_of,
    values_of,
)


@HOOKS.register_module()
class ScheduledValueHook(Hook):
    """Set an attribute of the model before each iteration.

    The value depends on the optimiser step alone, so a resumed run goes on
    where it was. The numbers of the loss are logged by the loss. For example
    a warm-up of lambda from InfoNCE to SCE::

        dict(
            type='ScheduledValueHook',
            attribute='head.loss_module.coeff',
            schedule=[
                dict(kind='linear', start=1.0, end=0.5, epochs=10),
                dict(kind='constant', value=0.5),
            ],
        )

    Args:
        attribute: Dotted path from the model to a number.
        schedule: Phases as in
            :func:`~sce_mm.engine.schedulers.schedules.build_schedule`.

    Raises:
        UserError: The schedule is malformed.
    """

    priority = 'NORMAL'
    _schedule: Schedule

    def __init__(
        self, attribute: str, schedule: dict | Sequence[dict]
    ) -> None:
        self.attribute = attribute
        self.phases = check_phases(schedule)

    def before_train(self, runner: Runner) -> None:
        """Check that the attribute exists and is a number."""
        owner, name = self._find(runner)
        numbers = sorted(
            key
            for key, item in vars(owner).items()
            if type(item) in (int, float) and not key.startswith('_')
        )
        if name not in numbers:
            raise UserError(
                f'{self.attribute!r} is not a number of the model; '
                f'{type(owner).__name__} has {numbers}'
            )
        for value in values_of(self.phases):
            if (name == 'coeff' and not 0 <= value <= 1) or (
                name.endswith('temperature') and not value > 0
            ):
                raise UserError(
                    f'{self.attribute!r} cannot be {value}: coeff is in '
                    '[0, 1] and temperatures are positive'
                )
        self._schedule = schedule_of(runner, self.phases)

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Set the value of this step."""
        owner, name = self._find(runner)
        setattr(owner, name, self._schedule(current_step(runner)))

    def _find(self, runner: Runner) -> tuple[nn.Module, str]:
        owner = unwrapped(runner.model)
        *parents, name = self.attribute.split('.')
        for parent in parents:
            if not hasattr(owner, parent):
                raise UserError(
                    f'{self.attribute!r} does not exist: '
                    f'{type(owner).__name__} has no {parent!r}'
                )
            owner = getattr(owner, parent)
        return owner, name
