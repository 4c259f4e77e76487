"""Save and stop training at SIGTERM or Ctrl-C."""

import multiprocessing
import os
import signal
import time
from collections.abc import Sequence
from types import FrameType
from typing import Any

import torch
import torch.distributed as dist
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from ...utils.errors import UserError
from ...utils.signals import INTERRUPTED, TRY_AGAIN, mark_preempted
from ...utils.workers import ShieldedWorker
from .durable_checkpoint_hook import DurableCheckpointHook, durable_hook_of

_PRESSED = b"""
Ctrl-C: saving after this step; once more to end at once, without saving.
"""
# Seconds in which two of SIGINT are one press of Ctrl-C.
_SAME_PRESS = 1.0


@HOOKS.register_module()
class PreemptionHook(Hook):
    """At a signal, save after the current step and exit with code 75.

    It saves through ``DurableCheckpointHook``, which it cannot do without.
    Whichever process gets the signal, all of them stop after the same step:
    they agree on it after each one, over gloo on the host, which does not
    wait for the device. ``--resume`` goes on from there; the launch scripts
    know the exit code, see docs/running.md. A second Ctrl-C ends the process
    at once, without saving.

    Args:
        signals: Names of the signals; SIGINT is Ctrl-C. Slurm sends another
            one in time with ``--signal=USR1@300``: add SIGUSR1 to these two.
            tools/dist_train.sh passes it on as SIGTERM.

    Raises:
        UserError: A signal is unknown; before training, if there is no
            ``DurableCheckpointHook`` to save with.
    """

    priority = 'LOWEST'

    def __init__(self, signals: Sequence[str] = ('SIGTERM', 'SIGINT')) -> None:
        names = [s.name for s in signal.Signals]
        if not set(names).issuperset(signals):
            raise UserError(
                f'PreemptionHook: signals must be some of {", ".join(names)}; '
                f'got {signals}'
            )
        self.signals = [signal.Signals[name] for name in signals]
        self._received: str | None = None
        self._pressed = 0.0
        self._before: dict[int, Any] = {}
        self._group: Any = None
        self._checkpoints: DurableCheckpointHook | None = None

    def before_train(self, runner: Runner) -> None:
        """Handle signals from now on."""
        self._checkpoints = durable_hook_of(
            runner, type(self).__name__, 'preemption'
        )
        self._received, self._pressed = None, 0.0
        for number in self.signals:
            self._before[number] = signal.signal(number, self._note)
        if runner.world_size > 1:
            self._group = dist.new_group(backend='gloo')
        loader = runner.train_dataloader
        loader.worker_init_fn = ShieldedWorker(loader.worker_init_fn)

    def after_train_iter(self, runner: Runner, *_: Any, **__: Any) -> None:
        """Stop if any process got a signal, and the run is not at its end."""
        if (
            not runner.optim_wrapper.should_update()
            or not self._agreed()
            or self.is_last_train_iter(runner)
        ):
            return
        assert self._checkpoints is not None
        path = self._checkpoints.save_stopped(runner)
        self._restore()
        # On every machine, whichever of them got the signal.
        mark_preempted()
        if self._group is not None:
            # Launchers end all processes when the first one exits.
            dist.barrier(group=self._group)
        runner.logger.warning(
            f'stopped by {self._received or "another process"}: saved {path} '
            f'after iteration {runner.iter + 1}. Exit code {TRY_AGAIN}; '
            '--resume goes on'
        )
        raise SystemExit(TRY_AGAIN)

    def after_train(self, runner: Runner) -> None:
        """Handle signals no longer."""
        self._restore()

    def _agreed(self) -> bool:
        """Whether any process received a signal."""
        flag = torch.tensor(self._received is not None, dtype=torch.int)
        if self._group is not None:
            dist.all_reduce(flag, dist.ReduceOp.MAX, group=self._group)
        return bool(flag)

    def _note(self, number: int, frame: FrameType | None) -> None:
        again = time.monotonic() - self._pressed
        self._received = signal.Signals(number).name
        if number != signal.SIGINT:
            return
        if not self._pressed:
            self._pressed = time.monotonic()
            if os.environ.get('LOCAL_RANK', '0') == '0':
                os.write(2, _PRESSED)
        # A launcher passes on what the terminal has sent already.
        elif again > _SAME_PRESS:
            for worker in multiprocessing.active_children():
                worker.terminate()
            os._exit(INTERRUPTED)

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()
