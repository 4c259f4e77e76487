"""Pack images into tar files, as they are."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ...utils.checks import check_integer
from ...utils.durable_files import whole_folder, writing
from ...utils.errors import UserError
from ...utils.progress import Progress
from ...utils.text import printable
from .file_lists import warn_of_unreadable
from .shards import EXTENSION, list_members, read_file, size_and_time


class PackedShards(NamedTuple):
    """What :func:`pack_shards` wrote.

    Attributes:
        shards: Paths of the tar files.
        images: Number of images in them.
        bytes: Size of all tar files.
    """

    shards: list[Path]
    images: int
    bytes: int


def pack_shards(
    paths: Sequence[str],
    source: str,
    folder: str | Path,
    shard_bytes: int = 10**9,
) -> PackedShards:
    """Write images into ``000000.tar``, ``000001.tar``, ... of a new folder.

    The files keep their bytes, their order and their names relative to the
    source; nothing else of them is kept, so that equal images give equal
    tars. The folder is there in full or not at all: shards without the last
    ones look whole. Their indices lie beside them. Images that are gone when
    their turn comes are left out; the log names them.

    Args:
        paths: The images.
        source: Folder that all of them lie below.
        folder: Made here; may be there if it is empty.
        shard_bytes: The largest size of the images of a tar, unless it is
            one image.

    Raises:
        FileExistsError: There is something in the folder.
        WriteError: The disk is full, or the folder is read-only.
        UserError: An image cannot be read, or none is there.
    """
    check_integer('shard_bytes', shard_bytes, low=1)
    folder = Path(folder).expanduser()
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise FileExistsError(
            f'{folder} is not empty: remove it, or name another'
        )
    with whole_folder(folder) as unfinished:
        shards, gone = [], list[str]()
        with Progress('Images', len(paths)) as progress:
            for number, group in enumerate(_groups(paths, shard_bytes, gone)):
                shards.append(unfinished / f'{number:06}{EXTENSION}')
                with writing(folder):
                    gone += _write_shard(shards[-1], group, source, progress)
        if len(gone) == len(paths):
            raise UserError(f'none of {len(paths)} images is there any more')
        warn_of_unreadable([f'{printable(x)} (no such file)' for x in gone])
        # Reads what was written, and writes the indices.
        images = sum(1 for _ in list_members([str(x) for x in shards]))
        size = sum(shard.stat().st_size for shard in shards)
    return PackedShards([folder / x.name for x in shards], images, size)


def _groups(
    paths: Sequence[str], most: int, gone: list[str]
) -> Iterator[list[str]]:
    """Images one after the other, as many as fit into a tar.

    What is not there is added to ``gone``.
    """
    group: list[str] = []
    total = 0
    for path in paths:
        try:
            size, _ = size_and_time(path)
        except FileNotFoundError:
            gone.append(path)
            continue
        if group and total + size > most:
            yield group
            group, total = [], 0
        group.append(path)
        total += size
    if group:
        yield group


def _write_shard(
    shard: Path, paths: Sequence[str], source: str, progress: Progress
) -> list[str]:
    """Write a tar; returns the images that are gone."""
    options: dict[str, Any] = {'mode': 'w', 'format': tarfile.PAX_FORMAT}
    gone = []
    with shard.open('wb') as file:
        with tarfile.open(fileobj=file, **options) as tar:
            for path in paths:
                data = _read(path)
                progress.advance()
                if data is None:
                    gone.append(path)
                    continue
                # Neither owner nor time: those of a copy are others.
                entry = tarfile.TarInfo(os.path.relpath(path, source))
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
        file.flush()
        os.fsync(file.fileno())
    return gone


def _read(path: str) -> bytes | None:
    """The bytes of a file; None if it is gone."""
    try:
        return read_file(path)
    except FileNotFoundError:
        return None
    # Not one of writing, as which it would be reported.
    except OSError as error:
        raise UserError(
            f'cannot read {printable(path)} ({error.strerror or error}): '
            'repair it, or leave it out'
        ) from error
