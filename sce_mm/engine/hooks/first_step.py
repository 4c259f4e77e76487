"""Let a hook look at a run when all others are done, about the first step.

What a hook compares before the training, another one can change afterwards.
"""

from collections.abc import Callable
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner


class FirstStepHook(Hook):
    """Calls two functions, behind all hooks that there are.

    Args:
        before: Is called with the runner and the first batch.
        after: Is called with the runner and the number of steps so far, until
            it returns True.
    """

    priority = 'LOWEST'

    def __init__(
        self,
        before: Callable[[Runner, Any], None],
        after: Callable[[Runner, int], bool] = lambda runner, steps: True,
    ) -> None:
        self._before, self._after = before, after
        self._steps, self._done = 0, False

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Call the first, once."""
        if not self._steps:
            self._before(runner, data_batch)

    def after_train_iter(
        self, runner: Runner, *args: Any, **more: Any
    ) -> None:
        """Call the second until it is done."""
        self._steps += 1
        if not self._done:
            self._done = self._after(runner, self._steps)
