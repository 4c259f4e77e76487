"""Fetch logged values from the device only when the log is written."""

from collections.abc import Iterable
from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import LoggerHook, RuntimeInfoHook
from mmengine.runner import LogProcessor, Runner
from mmpretrain.registry import HOOKS
from torch import Tensor


@HOOKS.register_module()
class DeferredRuntimeInfoHook(RuntimeInfoHook):
    """mmengine's hook, without a wait for the device at every iteration.

    mmengine turns each value that the model returns into a Python number at
    once; on a GPU every one of them waits for the whole step. Here the values
    stay on the device until the ``LoggerHook`` reads them or the epoch ends.
    Before that ``message_hub`` does not have them.

    Each value in the log is the mean over the window of the log processor.
    mmengine takes that of the loss alone and shows the rest as of the last
    iteration, so that the parts of a loss do not add up to it.

    On several processes each value is the mean of theirs, that of the whole
    batch; mmengine logs the part of the first process.

    Put it in the place of the other one::

        default_hooks = dict(runtime_info=dict(type='DeferredRuntimeInfoHook'))
    """

    def __init__(self) -> None:
        self._interval = 1
        self._names: list[str] = []
        self._values: list[Tensor] = []

    def before_train(self, runner: Runner) -> None:
        """Find out how often the log is written."""
        super().before_train(runner)
        self._interval = log_interval(runner) or 1

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict | None = None,
    ) -> None:
        """Keep the values; flush them if the log is due."""
        outputs = outputs or {}
        show_means(runner.log_processor, outputs)
        for name, value in outputs.items():
            if isinstance(value, Tensor):
                self._names.append(f'train/{name}')
                self._values.append(value.detach())
            else:
                runner.message_hub.update_scalar(f'train/{name}', value)
        if self.every_n_inner_iters(
            batch_idx, self._interval
        ) or self.end_of_epoch(runner.train_dataloader, batch_idx):
            self.flush(runner)

    def flush(self, runner: Runner) -> None:
        """Put what is kept into ``message_hub``, as a checkpoint needs it.

        All processes have to come here after the same iteration.
        """
        if not self._values:
            return
        values = torch.stack(self._values)
        all_reduce(values, 'mean')
        for name, number in zip(self._names, values.tolist(), strict=True):
            runner.message_hub.update_scalar(name, number)
        self._names.clear()
        self._values.clear()


def log_interval(runner: Runner) -> int:
    """Iterations from one line of the log to the next; 0 without a log."""
    loggers = (h for h in runner.hooks if isinstance(h, LoggerHook))
    return min((hook.interval for hook in loggers), default=0)


def flush_deferred(runner: Runner) -> None:
    """Let ``message_hub`` have what a hook of the runner keeps."""
    for hook in runner.hooks:
        if isinstance(hook, DeferredRuntimeInfoHook):
            hook.flush(runner)


def show_means(processor: LogProcessor, names: Iterable[str]) -> None:
    """Log values as means over the window, unless the config says else."""
    configured = {cfg['data_src'] for cfg in processor.custom_cfg}
    processor.custom_cfg += [
        {
            'data_src': name,
            'method_name': 'mean',
            'window_size': processor.window_size,
        }
        for name in names
        if name not in configured
    ]
