"""Lock a work dir, so that one training at a time writes to it."""

import contextlib
import fcntl
import os
import socket
import time
from pathlib import Path

from .errors import UserError

# Name of the file that a folder in use holds.
LOCK = '.in_use_by'


class FolderInUseError(UserError):
    """Another training writes to this folder."""


class FolderLock:
    """Keeps other processes out of a folder that this one writes to.

    The lock is the system's and ends with the process, whatever ends that: a
    killed run leaves nothing that would have to be removed. Where the file
    system has no locks, or nothing can be written, it holds nothing.

    Args:
        folder: Folder to lock; it is made if it is not there.
        patience: Seconds to wait for a process that is about to end.

    Raises:
        FolderInUseError: Another process has it.
    """

    def __init__(self, folder: str | Path, patience: float = 10.0) -> None:
        self._handle: int | None = None
        self._path = Path(folder) / LOCK
        self._open()
        deadline = time.monotonic() + patience
        while self._handle is not None:
            if self._lock():
                if self._is_there():
                    break
                # A refused run has removed it meanwhile.
                self.close()
                self._open()
                continue
            if time.monotonic() >= deadline:
                who = os.read(self._handle, 300).decode(errors='replace')
                self.close()
                raise FolderInUseError(
                    f'another training writes to {folder} ({who.strip()}): '
                    "they would overwrite each other's checkpoints. Give "
                    'this one a --work-dir of its own, or stop the other'
                )
            time.sleep(0.1)

    @property
    def holds(self) -> bool:
        """Whether others are kept out."""
        return self._handle is not None

    def close(self) -> None:
        """Release the folder."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    __del__ = close

    def _open(self) -> None:
        # Whoever writes there next says that it cannot be done.
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)

    def _is_there(self) -> bool:
        """Whether others who lock the folder open the same file."""
        if self._handle is None:
            return True
        with contextlib.suppress(OSError):
            return os.path.samestat(os.fstat(self._handle), self._path.stat())
        return False

    def _lock(self) -> bool:
        assert self._handle is not None
        try:
            fcntl.lockf(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return False
        except OSError:  # A file system without locks.
            self.close()
            return True
        # A full disk is reported by what matters more.
        with contextlib.suppress(OSError):
            name = f'process {os.getpid()} on {socket.gethostname()}\n'
            os.ftruncate(self._handle, 0)
            os.pwrite(self._handle, name.encode(), 0)
        return True
