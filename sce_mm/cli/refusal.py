"""Leave nothing behind of a run that is refused before it begins.

mmengine makes the folder of a run, and a folder for its log, before most
mistakes can be found.
"""

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.logging import MMLogger

from ..utils.folder_lock import NAME as LOCK
from ..utils.processes import is_first_process
from .exit import message_of
from .hand_over import COMMANDS
from .run_start import checkpoint_folder


class BegunHook(Hook):
    """Knows whether a first step was made, or a first batch evaluated.

    Before it a hook may still refuse the run.
    """

    priority = 'VERY_HIGH'
    begun = False

    def after_train_iter(self, *found: Any, **more: Any) -> None:
        """Note it."""
        self.begun = True

    before_val_iter = before_test_iter = after_train_iter


@contextmanager
def leaving_nothing(cfg: Config) -> Iterator[BegunHook]:
    """Remove what a run wrote if an error for the user comes before it begins.

    That is the folder of its log, and the folder of the run if it was not
    there before and holds nothing of another one. Unexpected errors leave the
    log, which helps to find their cause.

    Args:
        cfg: Config of the run, with its ``work_dir``.

    Yields:
        A hook that the Runner has to have.
    """
    folders = {
        Path(cfg.work_dir).absolute(),
        checkpoint_folder(cfg).absolute(),
    }
    new = {f for each in folders for f in (each, *each.parents)}
    new = {folder for folder in new if not folder.exists()}
    logs = {path for folder in folders for path in folder.glob('*')}
    hook = BegunHook()
    try:
        yield hook
    except Exception as error:
        refused = not hook.begun and message_of(error) is not None
        if refused and is_first_process():
            own = {Path(cfg.filename or '').name, COMMANDS, LOCK}
            _remove(folders, new, logs, own)
        raise


def _remove(
    folders: set[Path], new: set[Path], logs: set[Path], own: set[str]
) -> None:
    logger = MMLogger.get_current_instance()
    for handler in [*logger.handlers]:
        if isinstance(handler, logging.FileHandler):
            log = Path(handler.baseFilename).parent
            if log.parent in folders and log not in logs:
                logger.removeHandler(handler)
                handler.close()
                shutil.rmtree(log, ignore_errors=True)
    # The logger may not have come to its file.
    for folder in folders:
        for path in {*folder.glob('*')} - logs:
            with suppress(OSError):
                path.rmdir()
    # The innermost first.
    for folder in sorted(new, reverse=True):
        with suppress(OSError):
            names = {path.name for path in folder.iterdir()}
            if folder in folders and names <= own:
                for name in names:
                    (folder / name).unlink()
            folder.rmdir()
