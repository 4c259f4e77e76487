"""Leave nothing behind of a run that is refused before it begins.

mmengine makes the folder of a run, and a folder for its log, before most
mistakes can be found.
"""

import logging
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.logging import MMLogger

from ..utils.folder_lock import LOCK, FolderInUseError, FolderLock
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
        """Note that a step was made."""
        self.begun = True

    before_val_iter = before_test_iter = after_train_iter


@contextmanager
def leaving_nothing(cfg: Config, trains: bool = True) -> Iterator[BegunHook]:
    """Remove what a run wrote if an error for the user comes before it begins.

    That is the folder of its log, and the folder of the run if it was not
    there before and holds nothing of another one. Unexpected errors leave the
    log, which helps to find their cause.

    A training has the folders to itself before anything is written there, so
    that nothing of another run is removed. A test writes beside one, and what
    it wrote then stays.

    Args:
        cfg: Config of the run, with its ``work_dir``.
        trains: Whether it is a training.

    Yields:
        A hook that the Runner has to have.

    Raises:
        FolderInUseError: Another training writes there.
    """
    folders = {
        Path(cfg.work_dir).absolute(),
        checkpoint_folder(cfg).absolute(),
    }
    new = {f for each in folders for f in (each, *each.parents)}
    new = {folder for folder in new if not folder.exists()}
    unlocked = {f / LOCK for f in folders if not (f / LOCK).exists()}
    hook = BegunHook()
    with ExitStack() as locks:
        if trains and is_first_process():
            _lock(folders, locks)
        # What another one wrote until now is its own.
        before = {path for folder in folders for path in folder.glob('*')}
        try:
            yield hook
        except Exception as error:
            refused = not hook.begun and message_of(error) is not None
            if refused and is_first_process():
                own = {Path(cfg.filename or '').name, COMMANDS, LOCK}
                # No other run begins in them meanwhile.
                with suppress(FolderInUseError):
                    if not trains:
                        _lock(folders, locks, patience=0)
                    _remove(folders, new, before, own)
                    for path in unlocked:
                        path.unlink(missing_ok=True)
            raise


def _lock(folders: set[Path], locks: ExitStack, patience: float = 10) -> None:
    for folder in folders:
        locks.enter_context(closing(FolderLock(folder, patience)))


def _remove(
    folders: set[Path], new: set[Path], before: set[Path], own: set[str]
) -> None:
    logger = MMLogger.get_current_instance()
    for handler in [*logger.handlers]:
        if isinstance(handler, logging.FileHandler):
            log = Path(handler.baseFilename).parent
            if log.parent in folders and log not in before:
                logger.removeHandler(handler)
                handler.close()
                shutil.rmtree(log, ignore_errors=True)
    # The logger may not have come to its file.
    for folder in folders:
        for path in {*folder.glob('*')} - before:
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
