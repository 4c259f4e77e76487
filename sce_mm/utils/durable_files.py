"""Write files durably: after a crash a file is whole or not there.

The bytes go to a temporary file in the same folder, which is flushed to the
disk, read back, renamed over the target and made lasting by flushing the
folder. A reader sees the old file or the new one.
"""

import glob
import json
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from mmengine.fileio import LocalBackend, register_backend

from .checks import nearest_existing
from .folder_lock import LOCK, FolderInUseError, FolderLock

_SUFFIX = '.partial'


class WriteError(OSError):
    """A file could not be written; the file before it is still there.

    Args:
        text: Message.
        number: ``errno`` of the system's error, None without one.
    """

    def __init__(self, text: str, number: int | None = None) -> None:
        super().__init__(text)
        self.errno = number

    # Processes that write send it to the one that has started them.
    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.errno)


def write_durably(path: str | Path, data: bytes) -> None:
    """Write bytes to a file.

    Raises:
        WriteError: The disk is full, the folder is read-only, or the file
            does not read back as it was written.
    """

    def verify(temporary: str) -> None:
        if zlib.crc32(Path(temporary).read_bytes()) != zlib.crc32(data):
            raise OSError('it does not read back as it was written')

    replace_durably(path, lambda file: file.write(data), verify)


def write_json(path: str | Path, content: Any) -> None:
    """Write numbers and texts to a file, see :func:`write_durably`."""
    write_durably(path, json.dumps(content, indent=2).encode() + b'\n')


def replace_durably(
    path: str | Path,
    write: Callable[[IO[bytes]], object],
    verify: Callable[[str], object] = str,
) -> None:
    """Let a function write a file that then takes the place of ``path``.

    Args:
        path: File to write; its folder is made.
        write: Function that gets the temporary file, open for writing.
        verify: Function that gets its name afterwards, and may raise.

    Raises:
        WriteError: It could not be written.
    """
    # What a link leads to is replaced, not the link.
    target = Path(os.path.realpath(path))
    temporary = None
    try:
        with writing(path):
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists() and not target.is_file():
                # Nothing takes the place of a device such as /dev/stdout.
                with target.open('wb') as file:
                    write(file)
                return
            with tempfile.NamedTemporaryFile(
                prefix=f'.{target.name}.',
                suffix=_SUFFIX,
                dir=target.parent,
                delete=False,
            ) as file:
                temporary = file.name
                write(file)
                file.flush()
                os.fsync(file.fileno())
            verify(temporary)
            os.chmod(temporary, 0o644)
            os.replace(temporary, target)
            _flush_folder(target.parent)
    finally:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Let the errors of the system say which file could not be written.

    Raises:
        WriteError: Such an error was raised within.
    """
    try:
        yield
    except WriteError:
        raise
    except (OSError, RuntimeError) as error:
        # torch.save makes another error of that of the system.
        reason = error if isinstance(error, OSError) else error.__context__
        if not isinstance(reason, OSError):
            raise
        raise WriteError(
            f'cannot write {path}: {reason.strerror or reason} '
            f'({_free_space(Path(path).parent)}). Files that were there '
            'before are untouched',
            reason.errno,
        ) from error


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A hidden folder to fill, which then becomes ``folder``.

    After an error it is removed, and if the process is killed by the next one
    that makes the same folder.

    Raises:
        WriteError: The folder cannot be made.
    """
    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_unfinished(folder)
        unfinished = Path(
            tempfile.mkdtemp(prefix=f'.{folder.name}.', dir=folder.parent)
        )
    lock = FolderLock(unfinished)
    try:
        yield unfinished
        with writing(folder):
            (unfinished / LOCK).unlink(missing_ok=True)
            unfinished.chmod(0o755)
            unfinished.replace(folder)
    finally:
        lock.close()
        shutil.rmtree(unfinished, ignore_errors=True)


def _remove_unfinished(folder: Path) -> None:
    """Remove what killed processes have left, and no living one fills."""
    pattern = f'.{glob.escape(folder.name)}.{"?" * 8}'
    for path in folder.parent.glob(pattern):
        # Another process may have made it just now, and lock it next.
        if (path / LOCK).is_file():
            with suppress(FolderInUseError):
                lock = FolderLock(path, patience=0)
                if lock.holds:
                    shutil.rmtree(path, ignore_errors=True)
                lock.close()


def remove_partial_files(folder: str | Path) -> None:
    """Remove what killed runs were writing."""
    for path in Path(folder).glob(f'.*{_SUFFIX}'):
        path.unlink(missing_ok=True)


@register_backend('durable')
class DurableBackend(LocalBackend):
    """mmengine's local files, with durable writing.

    ``backend_args=dict(backend='durable')`` selects it.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes, see :func:`write_durably`."""
        write_durably(filepath, obj)


def _flush_folder(folder: Path) -> None:
    """Make a rename lasting, where the file system lets folders be opened."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _free_space(folder: Path) -> str:
    try:
        free = shutil.disk_usage(nearest_existing(folder)).free
        return f'{free / 2**20:.0f} MiB are free'
    except OSError:
        return 'the folder cannot be examined'
