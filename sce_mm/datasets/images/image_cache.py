"""A cache of decoded images: build it once, read it in all processes.

The images are shrunk, or as large as they were; then a region of one costs
what it touches. A folder holds ``pixels.bin`` ([h, w, 3] uint8 BGR, in any
order),
``images.npy`` (a record for each image, sorted by path) and ``cache.json``.
All processes map the same pixels.
"""

from __future__ import annotations

import json
import math
import os
import weakref
from collections.abc import Sequence
from contextlib import closing
from multiprocessing import Lock
from pathlib import Path
from typing import Any, NamedTuple, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from ...utils.checks import check_integer
from ...utils.durable_files import whole_folder, writing
from ...utils.errors import UnreadableImageError, UserError
from ...utils.text import printable
from .decoding import (
    LARGEST_PIXELS,
    MAX_PIXELS,
    decode_image,
    require_plain_file,
)
from .file_lists import find_images, warn_of_unreadable
from .levels import as_stretch
from .parallel import map_images
from .shards import is_file, read_file, size_and_time

Image = NDArray[np.uint8]
FORMAT = 1
INDEX, PIXELS, METADATA = 'images.npy', 'pixels.bin', 'cache.json'
# Smaller images are copied, which is as fast as mapping them.
_MAPPED_BYTES = 1 << 22
# Size and time of a file that was gone when its turn came.
_GONE = -1, -1


class StaleCacheError(UserError):
    """The cache is not one of the images that are there now."""


class ImageCache:
    """A cache that :func:`build_cache` made, for reading.

    Pickles as its place, so that workers open the file themselves.

    Args:
        folder: The cache.
        source: Where the images lie now. Defaults to where they lay.
        check_source: Compare the files of ``source`` with those the cache was
            made of: paths, sizes, and times in seconds.

    Raises:
        FileNotFoundError: No cache, or no source to compare with.
        StaleCacheError: The source differs, or the cache is damaged.
    """

    def __init__(
        self,
        folder: str | Path,
        source: str | None = None,
        check_source: bool = True,
    ) -> None:
        self.folder = Path(folder).expanduser()
        metadata = self._open()
        self.source = os.path.abspath(
            os.path.expanduser(source or metadata['source'])
        )
        # Caches of earlier versions do not say: none was possible.
        self.stretch = as_stretch(metadata.get('stretch'))
        self.short_side: int | None = metadata['short_side']
        self._listed = bool(metadata.get('listed'))
        if check_source:
            self._check_source()

    def __len__(self) -> int:
        return len(self._records)

    def read(self, path: str) -> Image:
        """The pixels of an image below the source.

        What is written to the array goes to no file. A small image is a
        copy. The array of a large one maps its part of the file: only the
        pages that are looked at are read, and those that are written to
        become copies.
        """
        record = self._record(path)
        start = int(record['offset'])
        shape = int(record['height']), int(record['width']), 3
        if (size := math.prod(shape)) > _MAPPED_BYTES:
            own = np.memmap(self._file, np.uint8, 'c', start, shape)
            return np.asarray(own)
        return np.array(self._pixels[start : start + size].reshape(shape))

    def size(self, path: str) -> tuple[int, int]:
        """Height and width of an image; its pixels are not read."""
        record = self._record(path)
        return int(record['height']), int(record['width'])

    def missing(self, paths: Sequence[str]) -> list[str]:
        """The paths that are not in the cache."""
        cached = {*cast(list[bytes], self._names.tolist())}
        return [path for path in paths if self._name(path) not in cached]

    def _name(self, path: str) -> bytes:
        return os.fsencode(os.path.relpath(os.path.abspath(path), self.source))

    def _record(self, path: str) -> Any:
        """What is known of a readable image below the source."""
        name = self._name(path)
        place = int(np.searchsorted(self._names, np.bytes_(name)))
        if place == len(self) or self._names[place] != name:
            raise UserError(
                f'{path} is not in the cache {self.folder} of '
                f'{self.source}: build the cache from the folder that the '
                'data set reads'
            )
        record = self._records[place]
        if record['height'] == 0:
            raise UnreadableImageError('unreadable when the cache was built')
        return record

    def _open(self) -> dict[str, Any]:
        """Map the files of the cache; returns what ``cache.json`` says."""
        path = self.folder / METADATA
        if not path.is_file():
            raise FileNotFoundError(
                f'no cache of images in {self.folder}: make one with sce cache'
            )
        metadata: dict[str, Any] = json.loads(path.read_text())
        if metadata.get('format') != FORMAT:
            raise StaleCacheError(
                f'the cache {self.folder} has format '
                f'{metadata.get("format")}, this version reads {FORMAT}: '
                'build it again'
            )
        records = np.load(self.folder / INDEX, mmap_mode='r')
        size = (self.folder / PIXELS).stat().st_size
        if len(records) != metadata['images'] or size != metadata['bytes']:
            raise StaleCacheError(
                f'the cache {self.folder} is damaged: it has {len(records)} '
                f'images in {size} bytes, {metadata["images"]} in '
                f'{metadata["bytes"]} were written. Remove it, build it again'
            )
        self._records = records
        # A search would copy the column of a table each time.
        self._names = np.ascontiguousarray(records['name'])
        # Kept open, in case that the cache is removed and built again.
        self._file = (self.folder / PIXELS).open('rb')
        weakref.finalize(self, self._file.close)
        # An empty file cannot be mapped: then no image could be decoded.
        self._pixels: Image = np.empty(0, np.uint8)
        if size:
            self._pixels = np.memmap(self._file, np.uint8, 'r')
        return metadata

    def _check_source(self) -> None:
        cached = cast(list[bytes], self._names.tolist())
        full = [os.path.join(self.source, os.fsdecode(x)) for x in cached]
        if self._listed:
            # Other images below the source are not in the list.
            pairs = zip(cached, full, strict=True)
            paths = {name for name, path in pairs if is_file(path)}
        else:
            paths = set(_relative_names(self.source))
        then = np.stack([self._records['bytes'], self._records['seconds']], 1)
        there = {*self._names[then[:, 0] != _GONE[0]].tolist()}
        added, removed = paths - {*cached}, there - paths
        if added or removed:
            example = os.fsdecode(min(added or removed))
            raise StaleCacheError(
                f'the cache {self.folder} is stale: {len(added)} images of '
                f'{self.source} are not in it and {len(removed)} of it are '
                f'no longer there, for example {example!r}. Build it again'
            )
        now = np.array([_size_and_time(path) for path in full])
        changed = np.flatnonzero((now != then).any(axis=1))
        if len(changed):
            raise StaleCacheError(
                f'the cache {self.folder} is stale: {len(changed)} files '
                'have another size or time of change, for example '
                f'{printable(full[int(changed[0])])}. Build it again, or '
                'keep the times when you copy a data set'
            )

    def __reduce__(self) -> tuple[type[ImageCache], tuple[Any, ...]]:
        return ImageCache, (self.folder, self.source, False)


def build_cache(
    source: str,
    folder: str | Path,
    short_side: int | None,
    workers: int = 1,
    stretch: Sequence[float] | None = None,
    max_pixels: int = MAX_PIXELS,
    paths: Sequence[str] | None = None,
) -> int:
    """Decode all images below a folder; shrink, never enlarge.

    The cache is there in full or not at all. Each process writes an image as
    soon as it is decoded. Of those that take much memory one is decoded at a
    time.

    Args:
        source: Folder of images, with all sub-folders.
        folder: The cache, made here.
        short_side: Pixels of the shorter side of larger images. None keeps
            all images as large as they are.
        workers: Processes that decode.
        stretch: As of ``LoadImage``; the cache remembers it.
        max_pixels: Most pixels that an image may have. Decoding
            takes about 9 bytes of memory for each in 8-bit files, more in
            those of 16 bits.
        paths: The images, if not all below ``source``.

    Returns:
        Number of images that could not be read; they are noted as such, and
        the log names the first of them.

    Raises:
        FileExistsError: ``folder`` is there already.
        FileNotFoundError: There is no source, or no image in it.
        UserError: No image can be read, or a process was killed, as happens
            without enough memory.
        WriteError: The disk is full, or the folder is read-only.
        UserError: A number is out of range, or ``stretch`` is no range.
    """
    if short_side is not None:
        check_integer('short_side', short_side, low=1)
    check_integer('workers', workers, low=1)
    check_integer('max_pixels', max_pixels, low=1, high=LARGEST_PIXELS)
    stretch = as_stretch(stretch)
    folder = Path(folder).expanduser()
    if folder.exists():
        raise FileExistsError(f'{folder} exists: remove it, or name another')
    source = os.path.expanduser(source)
    # Messages name the folder as it was given.
    names = sorted(_relative_names(source, paths))
    source = os.path.abspath(source)
    with whole_folder(folder) as unfinished:
        writer = _Writer(
            unfinished / PIXELS, folder, short_side, stretch, max_pixels
        )
        records = _write_pixels(source, names, writer, workers)
        metadata = {
            'format': FORMAT,
            'source': source,
            'short_side': short_side,
            'stretch': stretch,
            'listed': paths is not None,
            'images': len(records),
            'bytes': writer.path.stat().st_size,
        }
        with writing(folder):
            np.save(unfinished / INDEX, records)
            (unfinished / METADATA).write_text(json.dumps(metadata, indent=2))
    return int((records['height'] == 0).sum())


def _size_and_time(path: str) -> tuple[int, int]:
    try:
        return size_and_time(path)
    # The entry of a list, or what was removed meanwhile.
    except FileNotFoundError:
        return _GONE


class _Written(NamedTuple):
    """Where an image is in the file of pixels; a height of 0 if nowhere."""

    height: int
    width: int
    offset: int
    bytes: int
    seconds: int
    problem: str = ''


class _Writer:
    """Decodes images and appends them to one file, in several processes."""

    def __init__(
        self,
        path: Path,
        cache: Path,
        short_side: int | None,
        stretch: tuple[float, float] | None,
        max_pixels: int,
    ) -> None:
        self.path = path
        # As errors name it.
        self.cache = cache
        self.short_side = short_side
        self.stretch = stretch
        self.max_pixels = max_pixels
        self.turn = Lock()
        path.touch()

    def __call__(self, path: str) -> _Written:
        """Decode the image and append its pixels."""
        # Before the file is read: a later change is one.
        file = _size_and_time(path)
        try:
            image = self._decode(path)
        except (OSError, UnreadableImageError) as error:
            reason = getattr(error, 'strerror', None) or str(error)
            return _Written(0, 0, 0, *file, reason)
        with self.turn, writing(self.cache), self.path.open('ab') as pixels:
            offset = pixels.tell()
            pixels.write(image.data)
        height, width = image.shape[:2]
        return _Written(height, width, offset, *file)

    def _decode(self, path: str) -> Image:
        require_plain_file(path, self.max_pixels)
        data = read_file(path)
        image = decode_image(data, True, self.stretch, self.max_pixels)
        height, width = image.shape[:2]
        scale = (self.short_side or math.inf) / min(height, width)
        if scale >= 1:
            return image
        size = round(width * scale), round(height * scale)
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        return np.asarray(small, np.uint8)


def _write_pixels(
    source: str, names: Sequence[bytes], writer: _Writer, workers: int
) -> NDArray[Any]:
    """Write all pixels; returns the records of the images."""
    records = np.zeros(
        len(names),
        # A height of 0 says that the image could not be decoded.
        [
            ('name', f'S{max(map(len, names))}'),
            *((side, np.int32) for side in ('height', 'width')),
            *((field, np.int64) for field in ('offset', 'bytes', 'seconds')),
        ],
    )
    records['name'] = names
    paths = [os.path.join(source, os.fsdecode(x)) for x in names]
    problems = []
    with closing(map_images(writer, paths, workers, 'Images')) as written:
        for record, (*place, problem) in zip(records, written, strict=True):
            fields = 'height', 'width', 'offset', 'bytes', 'seconds'
            for field, value in zip(fields, place, strict=True):
                record[field] = value
            if problem:
                path = os.fsdecode(record['name'])
                problems.append(f'{printable(path)} ({printable(problem)})')
    if len(problems) == len(names):
        raise UserError(
            f'none of {len(names)} images of {source} can be read, for '
            f'example {problems[0]}: no cache was made'
        )
    warn_of_unreadable(problems)
    with writing(writer.cache), writer.path.open('rb') as file:
        os.fsync(file.fileno())
    return records


def _relative_names(
    source: str, paths: Sequence[str] | None = None
) -> list[bytes]:
    """Paths of images below the source as bytes, which any file name is."""
    if paths is None:
        paths = find_images([source])
    return [os.fsencode(os.path.relpath(path, source)) for path in paths]
