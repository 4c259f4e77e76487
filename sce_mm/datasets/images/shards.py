"""Read images out of tar files (shards), as if each were a folder.

The path of a file in a tar is that of the tar and its name in there, such as
``shards/000000.tar/cats/1.jpg``. An index says where its bytes are, so that
any file is read by itself, in any order. It is made once by reading all
headers of the tar, which also shows whether the tar is whole, and kept in a
hidden file beside it.
"""

from __future__ import annotations

import io
import os
import posixpath
import re
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from ...utils.durable_files import WriteError, replace_durably
from ...utils.errors import UserError
from ...utils.progress import track, warn
from ...utils.text import printable

EXTENSION = '.tar'
# What stands between the path of a tar and a name in there.
_INSIDE = re.compile(rf'{re.escape(EXTENSION)}/', re.IGNORECASE)
# Version of the file with the index.
_FORMAT = 1
# First bytes of compressed files, their suffixes, and what undoes it.
COMPRESSIONS = (
    (b'\x1f\x8b', ('.tgz', '.gz'), 'gunzip'),
    (b'BZh', ('.bz2',), 'bunzip2'),
    (b'\xfd7zXZ', ('.xz',), 'unxz'),
    (b'\x28\xb5\x2f\xfd', ('.zst',), 'unzstd'),
)
# Encoding of names: any bytes, whatever the file system has.
_ENCODING = 'utf-8', 'surrogateescape'
# A tar is a sequence of blocks; one of zeros at least stands at its end.
_BLOCK = 512
_READ_AT_ONCE = 1 << 20


class Member(NamedTuple):
    """Where the bytes of a file in a tar are.

    Attributes:
        shard: Path of the tar.
        offset: Place of the first byte.
        size: Number of bytes.
        seconds: When the tar was changed.
    """

    shard: str
    offset: int
    size: int
    seconds: int

    def read(self) -> bytes:
        """The bytes of the file.

        Raises:
            OSError: The tar cannot be read, or has become shorter.
        """
        # Opened each time: thousands of shards are more than a process may
        # hold open.
        with open(self.shard, 'rb') as file:
            file.seek(self.offset)
            data = file.read(self.size)
        if len(data) < self.size:
            raise OSError(f'{self.shard} has become shorter')
        return data


class ShardIndex(NamedTuple):
    """What is in a tar.

    Attributes:
        names: Names of the files, sorted bytes ``[n]``.
        places: Offset and size of each, ``[n, 2]`` int64.
        size: Bytes of the tar.
        seconds: When it was changed.
        links: Entries that are no files of their own: links, devices, names
            that lead out of the tar.
        replaced: Entries of which the tar has a later one of the same name.
    """

    names: NDArray[np.bytes_]
    places: NDArray[np.int64]
    size: int
    seconds: int
    links: int
    replaced: int

    def in_order(self) -> Iterator[str]:
        """Names in the order of the tar."""
        for place in np.argsort(self.places[:, 0]):
            yield cast(bytes, self.names[place]).decode(*_ENCODING)

    def find(self, shard: str, name: str) -> Member | None:
        """The file of a name, if there is one."""
        raw = name.encode(*_ENCODING)
        place = int(np.searchsorted(self.names, np.bytes_(raw)))
        if place == len(self.names) or self.names[place] != raw:
            return None
        offset, size = map(int, self.places[place])
        return Member(shard, offset, size, self.seconds)


# Indices that this process has read, by path; workers that are forked share
# the memory.
_indices: dict[str, ShardIndex] = {}


def is_shard(path: str) -> bool:
    """Whether a path has the suffix of a tar file, in any case."""
    return path.lower().endswith(EXTENSION)


def find_member(path: str) -> Member | None:
    """The file in a tar that a path leads to; None if it leads into no tar.

    Raises:
        FileNotFoundError: The tar has no such file.
        UserError: It is compressed, damaged or cut off.
    """
    for end in _INSIDE.finditer(path):
        shard, name = path[: end.end() - 1], path[end.end() :]
        # A folder may be called so too.
        if shard in _indices or os.path.isfile(shard):
            if member := shard_index(shard).find(shard, name):
                return member
            raise FileNotFoundError(f'{shard} has no file {name!r}')
    return None


def shard_index(shard: str) -> ShardIndex:
    """The index of a tar, as it was when this process first asked for it.

    Raises:
        UserError: The tar is compressed, damaged, cut off, or has a sparse
            file.
    """
    if shard not in _indices:
        _load_indices([shard])
    return _indices[shard]


def is_file(path: str) -> bool:
    """Whether there is a file of this path, on the disk or in a tar."""
    try:
        return find_member(path) is not None or os.path.isfile(path)
    except FileNotFoundError:
        return False


def read_file(path: str) -> bytes:
    """The bytes of a file, on the disk or in a tar."""
    member = find_member(path)
    return member.read() if member else Path(path).read_bytes()


def open_file(path: str) -> str | IO[bytes]:
    """What Pillow opens: the path, or the bytes of a file in a tar."""
    member = find_member(path)
    return io.BytesIO(member.read()) if member else path


def size_and_time(path: str) -> tuple[int, int]:
    """Bytes of a file, and the second in which it, or its tar, was changed."""
    if member := find_member(path):
        return member.size, member.seconds
    status = os.stat(path)
    return status.st_size, int(status.st_mtime)


def list_members(shards: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Tar and name of each file in some tars, in their order.

    Indices that are missing, or older than their tars, are made. The log
    counts entries that are no files.

    Raises:
        UserError: A tar is compressed, damaged, cut off, or has a sparse
            file.
    """
    _load_indices(shards)
    indices = [_indices[shard] for shard in shards]
    for count, what in (
        (
            sum(x.links for x in indices),
            'are links, devices or lead out of it',
        ),
        (
            sum(x.replaced for x in indices),
            'have the name of a later one, which counts, as in unpacking',
        ),
    ):
        if count:
            warn(
                f'{count} entries of tar files such as '
                f'{printable(shards[0])} {what}: left out'
            )
    for shard, index in zip(shards, indices, strict=True):
        for name in index.in_order():
            yield shard, name


def _load_indices(shards: Sequence[str]) -> None:
    """Have the indices of some tars in this process."""
    stale = []
    for shard in shards:
        index = _read_index(shard)
        if index is None:
            stale.append(shard)
        else:
            _indices[shard] = index
    unkept = []
    for shard in track(stale, 'Reading tar files') if stale else ():
        index = _indices[shard] = _scan(shard)
        try:
            _write_index(shard, index)
        except WriteError:
            unkept.append(shard)
    if unkept:
        warn(
            f'the index of {len(unkept)} tar files cannot be kept beside '
            f'them, for example {printable(unkept[0])}: each start reads '
            'them again'
        )


def _index_file(shard: str) -> str:
    folder, name = os.path.split(shard)
    return os.path.join(folder, f'.{name}.index.npz')


def _read_index(shard: str) -> ShardIndex | None:
    """The index beside a tar; None if the tar has changed since."""
    status = os.stat(shard)
    try:
        with open(_index_file(shard), 'rb') as raw, np.load(raw) as file:
            form, *numbers = file['numbers'].tolist()
            index = ShardIndex(file['names'], file['places'], *numbers)
    # None, half copied, or another file.
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
        return None
    current = _FORMAT, status.st_size, int(status.st_mtime)
    return index if (form, index.size, index.seconds) == current else None


def _write_index(shard: str, index: ShardIndex) -> None:
    names, places, *numbers = index
    replace_durably(
        _index_file(shard),
        lambda file: np.savez(
            file,
            names=names,
            places=places,
            numbers=np.array([_FORMAT, *numbers], np.int64),
        ),
    )


def _scan(shard: str) -> ShardIndex:
    """Read all headers of a tar."""
    status = os.stat(shard)
    found: dict[bytes, tuple[int, int]] = {}
    links = replaced = 0
    sparse = ''
    with open(shard, 'rb') as file:
        _refuse_compressed(shard, file)
        try:
            with tarfile.open(
                fileobj=file, mode='r:', encoding=_ENCODING[0]
            ) as tar:
                for entry in _entries(tar):
                    name = posixpath.normpath(entry.name).lstrip('/')
                    if entry.isdir():
                        continue
                    if not entry.isreg() or name.split('/')[0] == '..':
                        links += 1
                        continue
                    if entry.issparse():
                        sparse = entry.name
                    raw = name.encode(*_ENCODING)
                    replaced += raw in found
                    found[raw] = entry.offset_data, entry.size
                end = tar.offset
        # What else a damaged header leads to.
        except (
            tarfile.TarError,
            ValueError,
            OverflowError,
            EOFError,
        ) as error:
            raise UserError(
                f'{shard} is no tar, damaged or cut off ({error}): copy or '
                'make it again'
            ) from error
        _require_end(shard, file, end)
    if sparse:
        raise UserError(
            f'{shard}: {sparse!r} is stored as a sparse file, of which parts '
            'are missing: make the tar again without --sparse'
        )
    names = sorted(found)
    places = np.array([found[name] for name in names], np.int64)
    return ShardIndex(
        np.array(names, np.bytes_) if names else np.empty(0, 'S1'),
        places.reshape(-1, 2),
        status.st_size,
        int(status.st_mtime),
        links,
        replaced,
    )


def _entries(tar: Any) -> Iterator[tarfile.TarInfo]:
    while (entry := tar.next()) is not None:
        # The list would grow by a kilobyte for each.
        tar.members.clear()
        yield entry


def _refuse_compressed(shard: str, file: IO[bytes]) -> None:
    start = file.read(max(len(magic) for magic, *_ in COMPRESSIONS))
    file.seek(0)
    for magic, _, command in COMPRESSIONS:
        if start.startswith(magic):
            raise UserError(
                f'{shard} is compressed, so that no image in it can be read '
                f'alone: decompress it, by {command} for example; images do '
                'not become larger by that'
            )


def _require_end(shard: str, file: IO[bytes], end: int) -> None:
    """Refuse a tar that does not end where its last readable header does.

    ``tarfile`` takes a damaged header for the end of a tar.
    """
    file.seek(end)
    first = file.read(_BLOCK)
    rest = iter(lambda: file.read(_READ_AT_ONCE), b'')
    # What is left of zeros without zeros is empty.
    if len(first) < _BLOCK or any(
        x.strip(b'\0') for x in chain([first], rest)
    ):
        raise UserError(
            f'{shard} does not end at byte {end:,}, where its last readable '
            'entry does: it is damaged, cut off, or several tar files were '
            'joined. Copy or make it again'
        )
