"""Read a cache of decoded images: a memory-mapped file and its index.

A folder holds ``pixels.bin`` ([h, w, 3] uint8 BGR, one image after the other),
``images.npy`` (a record for each image, sorted by path) and ``cache.json``.
All processes that read it share one copy in the page cache.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ...utils.text import printable
from .decoding import UnreadableImageError, as_stretch
from .file_lists import find_images

Image = NDArray[np.uint8]
FORMAT = 1
INDEX, PIXELS, METADATA = 'images.npy', 'pixels.bin', 'cache.json'


class StaleCacheError(ValueError):
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
        metadata = _read_metadata(self.folder)
        self.source = os.path.abspath(
            os.path.expanduser(source or metadata['source'])
        )
        self.short_side = int(metadata['short_side'])
        # Caches of earlier versions do not say: none was possible.
        self.stretch = as_stretch(metadata.get('stretch'))
        self._open(metadata)
        if check_source:
            self._check_source()

    def __len__(self) -> int:
        return len(self._records)

    def read(self, path: str) -> Image:
        """The pixels of an image below the source, a copy.

        Raises:
            UnreadableImageError: It could not be decoded when it was cached.
            ValueError: It is not in the cache.
        """
        name = os.fsencode(os.path.relpath(os.path.abspath(path), self.source))
        place = int(np.searchsorted(self._names, np.bytes_(name)))
        if place == len(self) or self._names[place] != name:
            raise ValueError(
                f'{path} is not in the cache {self.folder} of '
                f'{self.source}: build the cache from the folder that the '
                'data set reads'
            )
        record = self._records[place]
        height, width = int(record['height']), int(record['width'])
        if height == 0:
            raise UnreadableImageError('unreadable when the cache was built')
        start = int(record['offset'])
        flat = self._pixels[start : start + height * width * 3]
        return np.array(flat.reshape(height, width, 3))

    def _open(self, metadata: dict[str, Any]) -> None:
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
        # An empty file cannot be mapped: then no image could be decoded.
        self._pixels: Image = (
            np.memmap(self.folder / PIXELS, np.uint8, 'r')
            if size
            else np.empty(0, np.uint8)
        )

    def _check_source(self) -> None:
        paths = relative_names(find_images([self.source]), self.source)
        cached = cast(list[bytes], self._names.tolist())
        added = sorted(set(paths) - set(cached))
        removed = sorted(set(cached) - set(paths))
        if added or removed:
            example = os.fsdecode((added or removed)[0])
            raise StaleCacheError(
                f'the cache {self.folder} is stale: {len(added)} images of '
                f'{self.source} are not in it and {len(removed)} of it are '
                f'no longer there, for example {example!r}. Build it again'
            )
        full = [os.path.join(self.source, os.fsdecode(x)) for x in cached]
        now = np.array(
            [[s.st_size, int(s.st_mtime)] for s in map(os.stat, full)]
        )
        then = np.stack([self._records['bytes'], self._records['seconds']], 1)
        changed = np.flatnonzero((now != then).any(axis=1))
        if len(changed):
            first = int(changed[0])
            raise StaleCacheError(
                f'the cache {self.folder} is stale: {len(changed)} files '
                f'have changed, for example {printable(full[first])} has '
                f'(bytes, time of change) {tuple(now[first].tolist())} and '
                f'had {tuple(then[first].tolist())}. Build it again, or keep '
                'the times when you copy a data set'
            )

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        del state['_records'], state['_names'], state['_pixels']
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open(_read_metadata(self.folder))


def _read_metadata(folder: Path) -> dict[str, Any]:
    path = folder / METADATA
    if not path.is_file():
        raise FileNotFoundError(
            f'no cache of images in {folder}: make one with '
            'tools/dataset_converters/cache_images.py'
        )
    metadata: dict[str, Any] = json.loads(path.read_text())
    if metadata.get('format') != FORMAT:
        raise StaleCacheError(
            f'the cache {folder} has format {metadata.get("format")}, this '
            f'version reads {FORMAT}: build it again'
        )
    return metadata


def relative_names(paths: Iterable[str], source: str) -> list[bytes]:
    """Paths below the source as bytes, which any file name is."""
    return [os.fsencode(os.path.relpath(path, source)) for path in paths]
