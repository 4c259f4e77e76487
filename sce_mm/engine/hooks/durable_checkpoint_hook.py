"""Write checkpoints that survive a crash, and resume from them exactly."""

from functools import partial
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from ...checkpoints.newest import newest_whole_checkpoint
from ...utils.distributed import decide_on_main
from ...utils.durable_files import (
    WriteError,
    remove_partial_files,
    write_durably,
)
from ...utils.errors import UserError
from ...utils.folder_lock import FolderLock
from ..runner.changed_settings import changed_settings
from ..runner.resume import (
    adopt_run_state,
    extend_schedules,
    require_same_model,
)
from ..runner.run_state import (
    RUN_STATE,
    collect_run_state,
    require_resumable,
    restore_random_state,
)
from ..runner.training import is_training
from .deferred_log_hook import flush_deferred

# Written when a run is stopped between two regular checkpoints.
STOPPED = 'stopped_at_iter_{}.pth'
# Names of checkpoints, whatever the interval of the run that wrote them.
CHECKPOINT_NAMES = ('epoch_{}.pth', 'iter_{}.pth', STOPPED)


@HOOKS.register_module()
class DurableCheckpointHook(CheckpointHook):
    """mmengine's ``CheckpointHook``, safe against crashes and exact.

    - A file is written beside its place, flushed, read back, then renamed;
      ``last_checkpoint`` likewise and after it; old ones are removed last.
    - It is written between two optimiser steps only. With gradient
      accumulation across the end of an epoch that is a few iterations later.
    - It also holds the random generators of every process and the layout of
      the run, see :mod:`sce_mm.engine.runner.run_state`.
    - Two trainings at a time in one folder are refused.
    - Resuming takes the newest whole file, reports damaged ones, and refuses
      files that hold no run, or one of another model or length.
    - Hooks with a method ``after_save_checkpoint(runner)`` are called when a
      file is whole, on every process.

    Args:
        *args: See mmengine's ``CheckpointHook``.
        extends: Epochs of a finished run that this one goes on from, set by
            ``sce train --continue-for``.
        **kwargs: See mmengine's ``CheckpointHook``.

    Raises:
        UserError: The interval is no number, or the folder is remote.
    """

    def __init__(
        self, *args: Any, extends: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        if '://' in str(self.out_dir):
            raise UserError(
                'DurableCheckpointHook: out_dir must be a local folder, got '
                f'{self.out_dir}; mmengine writes to remote ones with '
                "default_hooks.checkpoint.type='CheckpointHook'"
            )
        if type(self.interval) is not int or not (
            self.interval == -1 or self.interval > 0
        ):
            raise UserError(
                'DurableCheckpointHook: interval must be a whole number of '
                'epochs or iterations, or -1 for no regular checkpoints, got '
                f'{self.interval!r}'
            )
        self.extends = extends
        self.backend_args: dict[str, Any] | None
        if self.backend_args is None:
            self.backend_args = {'backend': 'durable'}
        self._resuming = False
        self._resumed: dict[str, Any] | None = None
        self._run_state: dict[str, Any] | None = None
        self._overdue = False
        self._locks: list[FolderLock] = []

    def before_run(self, runner: Runner) -> None:
        """Lock the folder; choose what to resume from, if asked to."""
        folder = self._folder(runner)
        # Validation alone writes no checkpoints.
        if is_training(runner):
            decide_on_main(lambda: self._locks.append(FolderLock(folder)))
        self._resuming = runner._resume
        if not runner._resume or runner._load_from is not None:
            return
        found = decide_on_main(
            lambda: newest_whole_checkpoint(
                folder, (*CHECKPOINT_NAMES, self.filename_tmpl)
            )
        )
        if found is None:
            runner._resume = self._resuming = False
            runner.logger.info(
                f'nothing to resume in {folder}: the run starts at the '
                'beginning'
            )
        else:
            runner._load_from = str(found)

    def after_load_checkpoint(
        self, runner: Runner, checkpoint: dict[str, Any]
    ) -> None:
        """Fit position and schedules to this run, or refuse."""
        if not self._resuming:
            return
        require_resumable(checkpoint, str(runner._load_from))
        require_same_model(runner, checkpoint)
        for note in (
            adopt_run_state(runner, checkpoint, self.extends),
            changed_settings(runner.cfg, checkpoint),
        ):
            if note:
                runner.logger.warning(f'resume: {note}')
        self._resumed = checkpoint

    def before_train(self, runner: Runner) -> None:
        """Prepare the folder; go on where the checkpoint was written."""
        super().before_train(runner)
        for folder in {str(self.out_dir), runner.work_dir}:
            decide_on_main(partial(remove_partial_files, folder))
        if self._resumed is not None:
            restore_random_state(self._resumed)
            layout = self._resumed.get(RUN_STATE, {}).get('layout', {})
            if layout and layout['max_epochs'] == self.extends:
                runner.logger.warning(extend_schedules(runner))
            self._resumed = None

    def after_train(self, runner: Runner) -> None:
        """Let others write to the folder."""
        super().after_train(runner)
        for lock in self._locks:
            lock.close()

    def after_train_iter(self, runner: Runner, *args: Any, **kw: Any) -> None:
        """Save every few iterations, or what is overdue."""
        if self._overdue and runner.optim_wrapper.should_update():
            self._overdue = False
            step = runner.epoch if self.by_epoch else runner.iter + 1
            self._save_checkpoint_with_step(runner, step, _position(runner))
        else:
            super().after_train_iter(runner, *args, **kw)

    def before_save_checkpoint(
        self, runner: Runner, checkpoint: dict[str, Any]
    ) -> None:
        """Add what was collected of all processes."""
        if self._run_state is not None:
            checkpoint[RUN_STATE] = self._run_state

    def save_stopped(self, runner: Runner) -> str:
        """Save between two regular checkpoints; every process calls this.

        The file is removed when the resumed run writes the next one.
        """
        name = STOPPED.format(runner.iter + 1)
        older = runner.message_hub.get_info('stopped_ckpt')
        runner.message_hub.update_info('stopped_ckpt', name)
        self._write(runner, name, _position(runner))
        if older is not None and is_main_process():
            self._remove(older)
        return str(self.last_ckpt)

    def _save_checkpoint(self, runner: Runner) -> None:
        if runner.optim_wrapper.should_update():
            super()._save_checkpoint(runner)
        else:
            self._overdue = True

    def _save_checkpoint_with_step(
        self, runner: Runner, step: int, meta: dict[str, Any]
    ) -> None:
        """Write, then point to it, then remove what is outdated."""
        hub = runner.message_hub
        stopped = hub.pop_info('stopped_ckpt')
        outdated = [stopped] if stopped else []
        if self.max_keep_ckpts > 0:
            ids = [i for i in self.keep_ckpt_ids if i != step] + [step]
            # The file names those due for removal too: a run that is killed
            # before that removes them when it resumes.
            hub.update_info('keep_ckpt_ids', ids)
            outdated += [
                self.filename_tmpl.format(i)
                for i in ids[: -self.max_keep_ckpts]
            ]
            self.keep_ckpt_ids.clear()
            self.keep_ckpt_ids.extend(ids[-self.max_keep_ckpts :])
        self._write(runner, self.filename_tmpl.format(step), meta)
        if is_main_process():
            for name in outdated:
                self._remove(name)

    def _write(self, runner: Runner, name: str, meta: dict[str, Any]) -> None:
        flush_deferred(runner)
        previous = runner.message_hub.get_info('last_ckpt')
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        self._run_state = collect_run_state(runner, self.extends)
        try:
            runner.save_checkpoint(
                self.out_dir,
                name,
                self.file_client_args,
                save_optimizer=self.save_optimizer,
                save_param_scheduler=self.save_param_scheduler,
                meta=meta,
                by_epoch=self.by_epoch,
                backend_args=self.backend_args,
                **self.args,
            )
            if is_main_process():
                write_durably(
                    Path(runner.work_dir) / 'last_checkpoint',
                    str(self.last_ckpt).encode(),
                )
        except WriteError as error:
            last = 'There is no checkpoint before it'
            if previous:
                last = f'The last good checkpoint is {previous}'
            raise WriteError(
                f'{error}. {last}: free space or set '
                'default_hooks.checkpoint.out_dir, then --resume',
                error.errno,
            ) from error
        finally:
            self._run_state = None
        runner.call_hook('after_save_checkpoint')

    def _remove(self, name: str) -> None:
        path = self.file_backend.join_path(self.out_dir, name)
        if self.file_backend.isfile(path):
            self.file_backend.remove(path)

    def _folder(self, runner: Runner) -> str:
        """Where checkpoints go, as mmengine will say in ``before_train``."""
        if self.out_dir in (None, runner.work_dir):
            return runner.work_dir
        return f'{self.out_dir}/{Path(runner.work_dir).name}'


def durable_hook_of(
    runner: Runner, asking: str, key: str
) -> DurableCheckpointHook:
    """The hook that writes the checkpoints of a run.

    Args:
        runner: Runner with its hooks.
        asking: Class of the hook that needs it, for the message.
        key: Name of that one in ``default_hooks``.

    Raises:
        UserError: There is none.
    """
    for hook in runner.hooks:
        if isinstance(hook, DurableCheckpointHook):
            return hook
    raise UserError(
        f'{asking} works with DurableCheckpointHook, which is missing: set '
        "default_hooks.checkpoint.type='DurableCheckpointHook', or "
        f'default_hooks.{key}=None'
    )


def _position(runner: Runner) -> dict[str, int]:
    return {'epoch': runner.epoch, 'iter': runner.iter + 1}
