"""Find exact and near copies of images, between two sets or within one.

An image of the validation set that is also among the unlabelled ones makes a
comparison worthless, and two copies among the unlabelled ones are a negative
pair that shows the same. A copy need not be the same file: it may have been
scaled, compressed again or mirrored. Copies share a thumbnail of 17 x 16 grey
levels. Compared are the signs of its horizontal differences (dHash), 256 bits
of which a copy changes a few and another image about half; and, since dark
grounds give many equal bits, the correlation of its levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ...utils.errors import UnreadableImageError
from ...utils.hashes import hash_of
from ...utils.progress import track
from .decoding import decode_image
from .image_cache import ImageCache
from .parallel import map_images
from .shards import read_file

SIDE = 16
BITS = SIDE * SIDE
# *Measured* on COCO and blood-cell photographs: copies that were scaled,
# compressed, brightened or cropped by 2 % differ in up to 45 bits (95 % of
# them in fewer than 40), other photographs in 68 or more. Dark images of
# nuclei differ in 28 or more.
MAX_DISTANCE = 40
# *Measured* on the same: 0.82 or more of copies; 0.25 at most of different
# images that differ in no more bits than that.
MIN_CORRELATION = 0.7
# A thumbnail with fewer grey levels of spread than this says nothing.
_FLAT = 2.0
# Images that are compared with as many others at a time: about 100 MB.
_BLOCK = 4096


class Fingerprint(NamedTuple):
    """What two copies of an image have in common.

    Attributes:
        content: SHA-256 of the file.
        thumbnail: ``[16, 17]`` uint8; None where only the content counts:
            unreadable files, empty images.
    """

    content: str
    thumbnail: NDArray[np.uint8] | None


class Copy(NamedTuple):
    """Paths of an image of the first set and of its copy in the second."""

    first: str
    second: str


def fingerprint(
    path: str | Path, cache: ImageCache | None = None
) -> Fingerprint:
    """Fingerprint of an image file, whose pixels a cache may have."""
    data = read_file(str(path))
    try:
        image = cache.read(str(path)) if cache else decode_image(data)
    except UnreadableImageError:
        return fingerprint_of(data, None)
    return fingerprint_of(data, image)


def fingerprint_of(
    data: bytes, image: NDArray[np.uint8] | None
) -> Fingerprint:
    """Fingerprint of the bytes of a file and its pixels ``[h, w, 3]``.

    The pixels are None if they cannot be read.
    """
    content = hash_of(data)
    if image is None:
        return Fingerprint(content, None)
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    thumbnail = cv2.resize(
        grey, (SIDE + 1, SIDE), interpolation=cv2.INTER_AREA
    )
    if thumbnail.std() < _FLAT:
        return Fingerprint(content, None)
    return Fingerprint(content, np.asarray(thumbnail, np.uint8))


def find_copies(
    first: Sequence[str],
    second: Sequence[str],
    cache: ImageCache | None = None,
    workers: int = 1,
) -> list[Copy]:
    """For each path of ``second`` that is a copy, the nearest of ``first``.

    Args:
        first: Paths of the validation images, for example.
        second: Paths of images that may be among them.
        cache: Pixels of the second, which are then not decoded.
        workers: Processes that decode.

    Raises:
        UserError: A process was killed, as happens without enough memory.
    """
    prints = map_images(fingerprint, first, workers, 'Fingerprints')
    known = list(zip(first, prints, strict=True))
    by_content = {print_.content: path for path, print_ in known}
    seen = [
        (path, print_.thumbnail)
        for path, print_ in known
        if print_.thumbnail is not None
    ]
    signatures = _signatures([thumbnail for _, thumbnail in seen])
    copies = []
    own = partial(fingerprint, cache=cache)
    prints = map_images(own, second, workers, 'Near duplicates')
    for path, (content, thumbnail) in zip(second, prints, strict=True):
        if content in by_content:
            copies.append(Copy(by_content[content], path))
        elif thumbnail is not None and seen:
            close = _close_pairs(_signatures([thumbnail]), signatures)
            if len(close.bits):
                nearest = int(close.columns[close.bits.argmax()])
                copies.append(Copy(seen[nearest][0], path))
    return copies


def group_copies(prints: Sequence[Fingerprint]) -> list[list[int]]:
    """Groups of images that are copies of each other, the largest first.

    Copies of copies are in one group, as the frames of a video are. The time
    grows with the square of the number of images.

    Args:
        prints: Fingerprints of the images.

    Returns:
        Ascending indices of each group of two images or more.
    """
    groups = _Groups(len(prints))
    first_of: dict[str, int] = {}
    places, thumbnails = [], []
    for place, (content, thumbnail) in enumerate(prints):
        first = first_of.setdefault(content, place)
        groups.join(np.array([first, place]))
        # Equal files are compared with others once.
        if first == place and thumbnail is not None:
            places.append(place)
            thumbnails.append(thumbnail)
    indices = np.array(places, np.int64)
    starts = range(0, len(places), _BLOCK)
    for start in track(starts, 'Near copies'):
        own = _signatures(thumbnails[start : start + _BLOCK])
        for other in range(start, len(places), _BLOCK):
            others = _signatures(thumbnails[other : other + _BLOCK])
            close = _close_pairs(own, others)
            rows, firsts = np.unique(close.rows, return_index=True)
            each = np.split(close.columns, firsts[1:])
            # Without pairs there are no rows, and split gives an empty part.
            for row, columns in zip(rows, each, strict=False):
                near = np.append(other + columns, start + row)
                groups.join(indices[near])
    return groups.listed()


class _Signatures(NamedTuple):
    """What images are compared by, for themselves and their mirror images.

    Attributes:
        signs: ``[2, N, 256]``: bits as 1 and -1.
        levels: ``[2, N, 272]``: levels of zero mean and unit length.
    """

    signs: NDArray[np.float32]
    levels: NDArray[np.float32]


def _signatures(thumbnails: Sequence[NDArray[np.uint8]]) -> _Signatures:
    count = len(thumbnails)
    own = np.array(thumbnails, np.float32).reshape(count, SIDE, SIDE + 1)
    both = np.stack([own, own[..., ::-1]])
    signs = np.where(both[..., 1:] > both[..., :-1], 1, -1)
    levels = both.reshape(2, count, SIDE * (SIDE + 1))
    levels = levels - levels.mean(axis=2, keepdims=True)
    levels /= np.linalg.norm(levels, axis=2, keepdims=True)
    signs = signs.astype(np.float32).reshape(2, count, BITS)
    return _Signatures(signs, levels)


class _Close(NamedTuple):
    """Pairs of copies, ascending by row, then by column.

    A pair that is alike in both ways, as it is and mirrored, is there twice.

    Attributes:
        rows: Places in the first set.
        columns: Places in the second set.
        bits: Bits that agree less those that do not.
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    bits: NDArray[np.float32]


def _close_pairs(first: _Signatures, second: _Signatures) -> _Close:
    places, bits = [], []
    # Mirroring one of the two is enough.
    for way in range(2):
        product = (first.signs[0] @ second.signs[way].T).ravel()
        near = np.flatnonzero(product >= BITS - 2 * MAX_DISTANCE)
        near = near[_correlations(first, second, way, near) >= MIN_CORRELATION]
        places.append(near)
        bits.append(product[near])
    order = np.argsort(np.concatenate(places), kind='stable')
    rows, columns = divmod(
        np.concatenate(places)[order], second.signs.shape[1]
    )
    return _Close(rows, columns, np.concatenate(bits)[order])


def _correlations(
    first: _Signatures,
    second: _Signatures,
    way: int,
    places: NDArray[np.int64],
) -> NDArray[np.float32]:
    """Correlations of pairs, by their places in the flat ``[N, M]``."""
    own, others = first.levels[0], second.levels[way]
    # Few pairs of photographs are left. Nearly all of dark images may be, as
    # their bits are equal: a product of all is faster then and takes less
    # memory.
    if len(places) > len(own) * len(others) // 128:
        every: NDArray[np.float32] = (own @ others.T).ravel()[places]
        return every
    rows, columns = divmod(places, max(1, len(others)))
    found: NDArray[np.float32] = np.einsum(
        'nd,nd->n', own[rows], others[columns]
    )
    return found


class _Groups:
    """Disjoint sets of the integers below a number."""

    def __init__(self, count: int) -> None:
        self._parent = np.arange(count)

    def join(self, members: NDArray[np.int64]) -> None:
        """Make one set of the sets of all members."""
        roots = np.unique(self._roots(members))
        self._parent[roots] = self._parent[members] = roots[0]

    def listed(self) -> list[list[int]]:
        """Sets of two or more, the largest first."""
        roots = self._roots(np.arange(len(self._parent)))
        found: dict[int, list[int]] = {}
        for member, root in enumerate(roots.tolist()):
            found.setdefault(root, []).append(member)
        several = [group for group in found.values() if len(group) > 1]
        return sorted(several, key=len, reverse=True)

    def _roots(self, members: NDArray[np.int64]) -> NDArray[np.int64]:
        roots = self._parent[members]
        while ((above := self._parent[roots]) != roots).any():
            roots = above
        return roots
