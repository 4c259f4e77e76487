"""A Runner that describes machine, config and hooks in its log file alone.

The console has what people who watch a run want to know.
"""

import logging
import re
import time
from typing import Any

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.runner import Runner
from mmengine.visualization import Visualizer

from ..engine.hooks.deferred_log_hook import log_interval
from ..utils.progress import LINE_SECONDS, clock
from .console import release_output
from .log_services import begin_services

# What mmengine tells the authors of its own hooks, or says a second time.
_FOR_AUTHORS = re.compile(
    '"(FileClient|HardDiskBackend)" |Loads checkpoint by |Exp name: '
)
# Text of the newest config, by its content.
_LAID_OUT: dict[str, str] = {}


class FirstWordsHook(Hook):
    """Ends the silence before the first step or evaluation.

    Where half a minute of steps is not enough for a line of the log, it says
    once how fast they are and when the log begins.
    """

    priority = 'HIGH'

    def before_train(self, runner: Runner) -> None:
        """Release what the command says, and look at the clock."""
        release_output()
        self.done = 0
        self.interval = log_interval(runner)
        self.begun = time.monotonic() if self.interval else None

    def before_val(self, runner: Runner) -> None:
        """Release what the command says."""
        release_output()

    before_test = before_val

    def after_train_iter(
        self, runner: Runner, batch_idx: int, *args: Any, **kwargs: Any
    ) -> None:
        """Say how long the rest takes, unless the log is about to."""
        if self.begun is None:
            return
        self.done += 1
        seconds = time.monotonic() - self.begun
        logged = self.every_n_inner_iters(
            batch_idx, self.interval
        ) or self.end_of_epoch(runner.train_dataloader, batch_idx)
        if not logged and seconds < LINE_SECONDS:
            return
        self.begun = None
        if not logged:
            now, last = runner.iter + 1, runner.max_iters
            runner.logger.info(
                f'iteration {now} of {last}, '
                f'{clock(seconds / self.done * (last - now))} left; the log '
                f'has a line every {self.interval} iterations'
            )


class QuietRunner(Runner):
    """Describes machine, config and hooks in the log file alone.

    Services that follow the run begin, or say why not, in our words.
    """

    def dump_config(self) -> None:
        """Write no config: a run that is refused would replace another's."""

    def _maybe_compile(self, target: str) -> None:
        """Compile a step of the model, if the config says so.

        The optimiser stays outside: a rate is a constant to the compiler,
        which would compile its step again for each of the schedule.
        """
        if self.cfg.get('compile'):
            wrapper = self.optim_wrapper
            wrapper.update_params = torch.compiler.disable(
                wrapper.update_params
            )
        super()._maybe_compile(target)

    def build_logger(self, *words: Any, **options: Any) -> MMLogger:
        """Build the logger of a run."""
        logger = super().build_logger(*words, **options)
        for handler in logger.handlers:
            if not isinstance(handler, logging.FileHandler):
                handler.addFilter(_for_console)
        return logger

    def build_visualizer(self, *words: Any, **options: Any) -> Visualizer:
        """Build what sends the numbers of a run to services."""
        visualizer = super().build_visualizer(*words, **options)
        begin_services(visualizer)
        return visualizer


class LaidOutOnce(Config):
    """Config whose text is laid out again only after a change.

    A Runner asks for it five times before the first step, and with every
    checkpoint; laying it out takes a quarter of a second.
    """

    @property
    def pretty_text(self) -> str:
        """The config as the text of a file."""
        content = repr(self.to_dict())
        if content not in _LAID_OUT:
            _LAID_OUT.clear()
            _LAID_OUT[content] = super().pretty_text
        return _LAID_OUT[content]


def _for_console(record: logging.LogRecord) -> bool:
    """Whether a line of a log is for people who watch a run."""
    described = ('_log_env', '__init__', 'wrap_model')
    return not _FOR_AUTHORS.match(record.getMessage()) and (
        record.levelno > logging.INFO
        or record.module != 'runner'
        or record.funcName not in described
    )
