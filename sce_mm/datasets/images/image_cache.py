"""A cache of decoded, shrunk images: build it once, read it in all processes.

A folder holds ``pixels.bin`` ([h, w, 3] uint8 BGR, one image after the other),
``images.npy`` (a record for each image, sorted by path) and ``cache.json``.
All processes map the same pixels.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from ...utils.checks import check_integer
from ...utils.progress import track
from ...utils.text import printable
from .decoding import (
    UnreadableImageError,
    as_stretch,
    decode_image,
    require_plain_file,
)
from .file_lists import find_images

Image = NDArray[np.uint8]
FORMAT = 1
INDEX, PIXELS, METADATA = 'images.npy', 'pixels.bin', 'cache.json'
# Decoded images that wait to be written.
_AT_A_TIME = 512


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
        metadata = self._open()
        self.source = os.path.abspath(
            os.path.expanduser(source or metadata['source'])
        )
        # Caches of earlier versions do not say: none was possible.
        self.stretch = as_stretch(metadata.get('stretch'))
        if check_source:
            self._check_source()

    def __len__(self) -> int:
        return len(self._records)

    def read(self, path: str) -> Image:
        """The pixels of an image below the source, a copy."""
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

    def _open(self) -> dict[str, Any]:
        """Map the files of the cache; returns what ``cache.json`` says."""
        path = self.folder / METADATA
        if not path.is_file():
            raise FileNotFoundError(
                f'no cache of images in {self.folder}: make one with '
                'tools/dataset_converters/cache_images.py'
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
        # An empty file cannot be mapped: then no image could be decoded.
        self._pixels: Image = np.empty(0, np.uint8)
        if size:
            self._pixels = np.memmap(self.folder / PIXELS, np.uint8, 'r')
        return metadata

    def _check_source(self) -> None:
        paths = set(_relative_names(self.source))
        cached = cast(list[bytes], self._names.tolist())
        added, removed = paths - {*cached}, {*cached} - paths
        if added or removed:
            example = os.fsdecode(min(added or removed))
            raise StaleCacheError(
                f'the cache {self.folder} is stale: {len(added)} images of '
                f'{self.source} are not in it and {len(removed)} of it are '
                f'no longer there, for example {example!r}. Build it again'
            )
        full = [os.path.join(self.source, os.fsdecode(x)) for x in cached]
        status = map(os.stat, full)
        now = np.array([[s.st_size, int(s.st_mtime)] for s in status])
        then = np.stack([self._records['bytes'], self._records['seconds']], 1)
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
    short_side: int,
    workers: int = 1,
    stretch: Sequence[float] | None = None,
) -> int:
    """Decode all images below a folder; shrink, never enlarge.

    The cache is there in full or not at all.

    Args:
        source: Folder of images, with all sub-folders.
        folder: The cache, made here.
        short_side: Pixels of the shorter side of larger images.
        workers: Processes that decode.
        stretch: As of ``LoadImage``; the cache remembers it.

    Returns:
        Number of images that could not be read; they are noted as such.
    """
    check_integer('short_side', short_side, low=1)
    check_integer('workers', workers, low=1)
    stretch = as_stretch(stretch)
    folder = Path(folder).expanduser()
    if folder.exists():
        raise FileExistsError(f'{folder} exists: remove it, or name another')
    source = os.path.abspath(os.path.expanduser(source))
    names = sorted(_relative_names(source))
    paths = [os.path.join(source, os.fsdecode(x)) for x in names]
    starts = range(0, len(paths), _AT_A_TIME)
    parts = [paths[start : start + _AT_A_TIME] for start in starts]
    decode = partial(_decode, short_side=short_side, stretch=stretch)
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(
        tempfile.mkdtemp(prefix=f'.{folder.name}.', dir=folder.parent)
    )
    try:
        with ProcessPoolExecutor(workers) as pool:
            decoded = chain.from_iterable(
                pool.map(decode, part, chunksize=4) for part in parts
            )
            records = _write_pixels(unfinished / PIXELS, names, decoded)
        np.save(unfinished / INDEX, records)
        metadata = {
            'format': FORMAT,
            'source': source,
            'short_side': short_side,
            'stretch': stretch,
            'images': len(records),
            'bytes': (unfinished / PIXELS).stat().st_size,
        }
        (unfinished / METADATA).write_text(json.dumps(metadata, indent=2))
        unfinished.chmod(0o755)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return int((records['height'] == 0).sum())


def _write_pixels(
    path: Path,
    names: Sequence[bytes],
    decoded: Iterable[tuple[Image | None, os.stat_result]],
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
    offset = 0
    with path.open('wb') as file:
        pairs = zip(records, decoded, strict=True)
        for record, (image, status) in track(pairs, 'Images', len(names)):
            record['bytes'] = status.st_size
            record['seconds'] = int(status.st_mtime)
            record['offset'] = offset
            if image is not None:
                record['height'], record['width'] = image.shape[:2]
                offset += file.write(image.tobytes())
        file.flush()
        os.fsync(file.fileno())
    return records


def _decode(
    path: str, short_side: int, stretch: tuple[float, float] | None
) -> tuple[Image | None, os.stat_result]:
    """An image, and the status of its file before it was read."""
    cv2.setNumThreads(0)
    status = os.stat(path)
    try:
        require_plain_file(path)
        image = decode_image(Path(path).read_bytes(), stretch=stretch)
    except (OSError, UnreadableImageError):
        return None, status
    height, width = image.shape[:2]
    scale = short_side / min(height, width)
    if scale < 1:
        size = round(width * scale), round(height * scale)
        image = np.asarray(
            cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8
        )
    return image, status


def _relative_names(source: str) -> list[bytes]:
    """Paths of images below the source as bytes, which any file name is."""
    paths = find_images([source])
    return [os.fsencode(os.path.relpath(path, source)) for path in paths]
