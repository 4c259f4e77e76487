"""Decode and shrink a folder of images into a cache."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...utils.checks import check_integer
from ...utils.progress import track
from .decoding import UnreadableImageError, as_stretch, decode_image
from .file_lists import find_images
from .image_cache import FORMAT, INDEX, METADATA, PIXELS, Image, relative_names
from .loading import require_plain_file

_AT_A_TIME = 512
# Pixels (None if unreadable), size and time of a source.
_Decoded = tuple[Image | None, int, int]


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
        stretch: Levels that become black and white, see ``LoadImage``; the
            cache remembers them.

    Returns:
        Number of images that could not be read; they are noted as such.

    Raises:
        FileExistsError: There is something at ``folder``.
        ValueError: A number is out of range.
        OSError: It cannot be written.
    """
    check_integer('short_side', short_side, low=1)
    check_integer('workers', workers, low=1)
    stretch = as_stretch(stretch)
    folder = Path(folder).expanduser()
    if folder.exists():
        raise FileExistsError(f'{folder} exists: remove it, or name another')
    source = os.path.abspath(os.path.expanduser(source))
    names = sorted(relative_names(find_images([source]), source))
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial_folder = Path(
        tempfile.mkdtemp(prefix=f'.{folder.name}.', dir=folder.parent)
    )
    try:
        with ProcessPoolExecutor(workers) as pool:
            paths = [os.path.join(source, os.fsdecode(x)) for x in names]
            decoded = _decode_in_turn(pool, paths, short_side, stretch)
            records = _write_pixels(partial_folder, names, decoded)
        np.save(partial_folder / INDEX, records)
        metadata = {
            'format': FORMAT,
            'source': source,
            'short_side': short_side,
            'stretch': stretch,
            'images': len(records),
            'bytes': (partial_folder / PIXELS).stat().st_size,
        }
        text = json.dumps(metadata, indent=2) + '\n'
        (partial_folder / METADATA).write_text(text)
        partial_folder.chmod(0o755)
        partial_folder.rename(folder)
    finally:
        shutil.rmtree(partial_folder, ignore_errors=True)
    return int((records['height'] == 0).sum())


def _write_pixels(
    folder: Path, names: Sequence[bytes], decoded: Iterable[_Decoded]
) -> NDArray[Any]:
    records = np.zeros(len(names), _record_type(names))
    records['name'] = names
    offset = 0
    with (folder / PIXELS).open('wb') as file:
        pairs = zip(records, decoded, strict=True)
        for record, (image, size, seconds) in track(
            pairs, 'Images', len(names)
        ):
            record['bytes'], record['seconds'] = size, seconds
            record['offset'] = offset
            if image is not None:
                record['height'], record['width'] = image.shape[:2]
                offset += file.write(image.tobytes())
        file.flush()
        os.fsync(file.fileno())
    return records


def _decode_in_turn(
    pool: ProcessPoolExecutor,
    paths: Sequence[str],
    short_side: int,
    stretch: tuple[float, float] | None,
) -> Iterator[_Decoded]:
    """Decode a few at a time, so that few images wait to be written."""
    decode = partial(_decode, short_side=short_side, stretch=stretch)
    for start in range(0, len(paths), _AT_A_TIME):
        part = paths[start : start + _AT_A_TIME]
        yield from pool.map(decode, part, chunksize=4)


def _decode(
    path: str, short_side: int, stretch: tuple[float, float] | None
) -> _Decoded:
    """An image, and size and time of its file before it was read."""
    cv2.setNumThreads(0)
    status = os.stat(path)
    stamp = status.st_size, int(status.st_mtime)
    try:
        require_plain_file(path)
        image = decode_image(Path(path).read_bytes(), stretch=stretch)
    except (OSError, UnreadableImageError):
        return None, *stamp
    height, width = image.shape[:2]
    scale = short_side / min(height, width)
    if scale < 1:
        size = round(width * scale), round(height * scale)
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        return np.asarray(small, np.uint8), *stamp
    return image, *stamp


def _record_type(names: Sequence[bytes]) -> np.dtype[Any]:
    """Of one image; a height of 0 says that it could not be decoded."""
    return np.dtype(
        [
            ('name', f'S{max(map(len, names))}'),
            ('offset', np.int64),
            ('height', np.int32),
            ('width', np.int32),
            ('bytes', np.int64),
            ('seconds', np.int64),
        ]
    )
