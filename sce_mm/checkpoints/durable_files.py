"""Write files durably: after a crash a file is whole or not there.

The bytes go to a temporary file in the same folder, which is flushed to the
disk, read back, renamed over the target and made lasting by flushing the
folder. A reader sees the old file or the new one.
"""

import os
import shutil
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO

from mmengine.fileio import LocalBackend, register_backend

_SUFFIX = '.partial'


class WriteError(OSError):
    """A file could not be written; the file before it is still there."""


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
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            prefix=f'.{path.name}.',
            suffix=_SUFFIX,
            dir=path.parent,
            delete=False,
        ) as file:
            temporary = file.name
            write(file)
            file.flush()
            os.fsync(file.fileno())
        verify(temporary)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
        _flush_folder(path.parent)
    except OSError as error:
        raise WriteError(
            f'cannot write {path}: {error.strerror or error} '
            f'({_free_space(path.parent)}). Files that were there before are '
            'untouched'
        ) from error
    finally:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)


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
        return f'{shutil.disk_usage(folder).free / 2**20:.0f} MiB are free'
    except OSError:
        return 'the folder cannot be examined'
