"""Keep the backbone of the newest checkpoint as a file of its own."""

from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from ...checkpoints.errors import CheckpointError
from ...transfer import Backbone, extract_backbone, save_backbone
from ...utils.durable_files import WriteError
from .durable_checkpoint_hook import durable_hook_of

_FILE_NAME = 'backbone.pth'


@HOOKS.register_module()
class BackboneFileHook(Hook):
    """Write ``backbone.pth`` into the work dir after each checkpoint.

    It is the file that ``sce extract`` makes of that checkpoint: the backbone
    of the online branch under bare names, with its metadata. It is read back
    and compared before it takes the place of the one before, so a reader finds
    a whole file or none. The first process writes it when the checkpoint is
    whole; a run that is killed in between has the file of the checkpoint
    before.

    Nothing of the training changes. A file that cannot be written is a
    warning: the checkpoint is there, and ``sce extract`` makes it later.

    Attributes:
        path: The file.
        written: What it holds; None if this process has written none, or
            could not write that of the last checkpoint.

    Raises:
        UserError: Before training, if there is no ``DurableCheckpointHook``.
    """

    # Behind the hooks that add to the checkpoint.
    priority = 'LOWEST'

    def __init__(self) -> None:
        self.path = Path(_FILE_NAME)
        self.written: Backbone | None = None
        self._waiting: Backbone | None = None

    def before_train(self, runner: Runner) -> None:
        """Check that something tells when a checkpoint is whole."""
        durable_hook_of(runner, type(self).__name__, 'backbone_file')
        self.path = Path(runner.work_dir) / _FILE_NAME

    def before_save_checkpoint(
        self, runner: Runner, checkpoint: dict[str, Any]
    ) -> None:
        """Take the backbone out of what is going to be written."""
        if not is_main_process():
            return
        try:
            self._waiting = extract_backbone(checkpoint)
        except CheckpointError as error:
            self._warn(runner, error)

    def after_save_checkpoint(self, runner: Runner) -> None:
        """Write the file."""
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            return
        try:
            save_backbone(self.path, waiting)
        except WriteError as error:
            self._warn(runner, error)
        else:
            self.written = waiting

    def _warn(self, runner: Runner, error: Exception) -> None:
        self.written = None
        runner.logger.warning(
            f'{self.path} is not that of this checkpoint: {error}'
        )
