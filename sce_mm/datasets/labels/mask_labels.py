"""Check folders of images and masks, as mmseg's data sets read them.

A mask is an image of one channel that holds the number of a class at each
pixel, or 255 where no class counts. Colours, other sizes and other numbers
end a training of mmseg late, with an error of a CUDA kernel, or not at all:
16 bits wrap around, and masks of 0 and 255 teach one class alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from mmengine.fileio import list_dir_or_file
from numpy.typing import NDArray
from PIL import Image

from ...utils.errors import UnreadableImageError
from ...utils.progress import track
from ...utils.text import listed
from ..images.decoding import decode_image

IGNORED = 255
# By the name of an image: sizes and times of its files, pixels of each class.
SeenMasks = dict[str, tuple[list[int], list[int]]]
# Bits, bytes, numbers of a palette, and 16 bits.
_MODES = ('1', 'L', 'P', 'I;16')


class MaskFolders(NamedTuple):
    """Where images and masks lie; names and meanings are those of mmseg.

    Attributes:
        images: Folder ``img_path`` of the images.
        masks: Folder ``seg_map_path`` of the masks, with the sub-folders of
            the images.
        img_suffix: End of the name of an image.
        seg_map_suffix: What stands in its place in the name of its mask.
        reduce_zero_label: Whether 0 does not count and 1 is the first class.
    """

    images: Path
    masks: Path
    img_suffix: str = '.jpg'
    seg_map_suffix: str = '.png'
    reduce_zero_label: bool = False


def read_masks(
    folders: MaskFolders,
    classes: Sequence[str],
    seen: SeenMasks | None = None,
) -> tuple[dict[str, NDArray[np.int64]], list[str]]:
    """Read every mask with its image, and list what is wrong.

    Args:
        folders: Where they lie.
        classes: Names of the classes in the order of their numbers.
        seen: What an earlier call with as many classes found right in these
            folders. Where size and time of both files are the same they are
            not read again; what is read and right is added.

    Returns:
        Pixels of each class, [number of classes], by the name of the image
        without its suffix, and one line for each kind of problem. The pixels
        are safe to use only without problems.
    """
    suffix = folders.img_suffix
    files = list_dir_or_file(
        folders.images, list_dir=False, suffix=suffix, recursive=True
    )
    names = sorted(file.removesuffix(suffix) for file in files)
    if not names:
        where = f'*{suffix} in {folders.images}'
        return {}, [f'expected one image at least; there is no {where}']
    seen = {} if seen is None else seen
    found: dict[str, NDArray[np.int64]] = {}
    problems: defaultdict[str, list[str]] = defaultdict(list)
    for name in track(names, 'masks'):
        stamp = _stamp(folders, name)
        if stamp and name in seen and seen[name][0] == stamp:
            found[name] = np.array(seen[name][1])
            continue
        try:
            found[name] = _pixels(folders, name, len(classes))
            seen[name] = stamp, found[name].tolist()
        except _MaskError as error:
            file = f'{name}{folders.seg_map_suffix}'
            problems[error.expected].append(f'{file}: {error.got}')
    lines = [
        f'{folders.masks}: expected {expected}; {len(files)} of '
        f'{len(names)} differ, first {files[0]}'
        for expected, files in problems.items()
    ]
    return found, lines or _whole_problems(folders, classes, found)


def _stamp(folders: MaskFolders, name: str) -> list[int]:
    """Sizes and times of an image and its mask; empty if one is missing."""
    paths = (
        folders.images / f'{name}{folders.img_suffix}',
        folders.masks / f'{name}{folders.seg_map_suffix}',
    )
    try:
        status = [path.stat() for path in paths]
    except OSError:
        return []
    return [n for s in status for n in (s.st_size, s.st_mtime_ns)]


class _MaskError(Exception):
    """What was expected of a mask, and what came."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(expected, got)
        self.expected, self.got = expected, got


def _pixels(
    folders: MaskFolders, name: str, classes: int
) -> NDArray[np.int64]:
    """Pixels of each class of one mask, which fits its image."""
    path = folders.images / f'{name}{folders.img_suffix}'
    try:
        height, width = decode_image(path.read_bytes()).shape[:2]
    except (OSError, UnreadableImageError) as error:
        raise _MaskError('images that can be read', str(error)) from error
    mask = _load(folders.masks / f'{name}{folders.seg_map_suffix}')
    if mask.shape != (height, width):
        raise _MaskError(
            'the size of the image as its EXIF tag turns it',
            f'{mask.shape[1]} x {mask.shape[0]}, its image {width} x {height}',
        )
    counts = np.bincount(mask.reshape(-1), minlength=IGNORED + 1)
    first = int(folders.reduce_zero_label)
    known = [*range(first), *range(first, first + classes), IGNORED]
    strange = sorted(set(np.flatnonzero(counts).tolist()) - set(known))
    if strange:
        what = f'{first} to {first + classes - 1} for the {classes} classes'
        if first:
            what += ', 0'
        elif strange == [classes]:
            what += ' (reduce_zero_label=True if they count from 1)'
        raise _MaskError(
            f'{what} or {IGNORED} for what does not count',
            listed([str(value) for value in strange]),
        )
    return counts[first : first + classes]


def _load(path: Path) -> NDArray[np.integer]:
    """Numbers of a mask, [h, w]."""
    try:
        with Image.open(path) as image:
            mode, values = image.mode, np.array(image)
    except FileNotFoundError as error:
        raise _MaskError('a mask for each image', 'is missing') from error
    except (OSError, Image.DecompressionBombError) as error:
        raise _MaskError('masks that can be read', str(error)) from error
    if mode not in _MODES:
        raise _MaskError(
            'one channel with the numbers of the classes',
            f'has the channels {mode}; replace colours by the numbers',
        )
    return values.astype(np.uint8) if mode == '1' else values


def _whole_problems(
    folders: MaskFolders,
    classes: Sequence[str],
    found: dict[str, NDArray[np.int64]],
) -> list[str]:
    """What is wrong with masks of which each is right."""
    total = np.sum(list(found.values()), axis=0)
    seen = [name for name, n in zip(classes, total, strict=True) if n]
    if len(seen) > 1:
        return []
    what = f'is {seen[0]}' if seen else 'has a class'
    none = 'each pixel that counts' if seen else 'no pixel'
    return [
        f'{folders.masks}: expected two classes at least; {none} {what}. '
        f'{IGNORED} does not count: in masks of 0 and {IGNORED} write 1 for it'
    ]
