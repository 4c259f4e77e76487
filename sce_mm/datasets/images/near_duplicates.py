"""Find exact and near copies of images between two sets.

An image of the validation set that is also among the unlabelled ones makes a
comparison worthless. A copy need not be the same file: it may have been
scaled, compressed again or mirrored. Such copies share their fingerprint: the
signs of the horizontal differences of a 17 x 16 grey thumbnail (dHash), 256
bits of which a copy changes a few and another image about half.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ...utils.progress import track
from .decoding import UnreadableImageError, decode_image
from .image_cache import ImageCache

SIDE = 16
BITS = SIDE * SIDE
# *Measured* on COCO and blood-cell photographs: copies that were scaled,
# compressed, brightened or cropped by 2 % differ in up to 45 bits (95 % of
# them in fewer than 40), other photographs in 68 or more.
MAX_DISTANCE = 40
# A thumbnail with fewer grey levels of spread than this says nothing.
_FLAT = 2.0
# Bits that are set in each byte.
_ONES = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(1)


class Fingerprint(NamedTuple):
    """What two copies of an image have in common.

    Attributes:
        content: SHA-256 of the file.
        bits: ``[2, 32]`` uint8: of the image and of its mirror image; None
            where only the content counts: unreadable files, empty images.
    """

    content: str
    bits: NDArray[np.uint8] | None


class Copy(NamedTuple):
    """Paths of an image of the first set and of its copy in the second."""

    first: str
    second: str


def fingerprint(
    path: str | Path, cache: ImageCache | None = None
) -> Fingerprint:
    """Fingerprint of an image file, whose pixels a cache may have."""
    data = Path(path).read_bytes()
    content = hashlib.sha256(data).hexdigest()
    try:
        image = cache.read(str(path)) if cache else decode_image(data)
    except UnreadableImageError:
        return Fingerprint(content, None)
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    thumbnail = cv2.resize(
        grey, (SIDE + 1, SIDE), interpolation=cv2.INTER_AREA
    ).astype(np.float32)
    if thumbnail.std() < _FLAT:
        return Fingerprint(content, None)
    both = np.stack([thumbnail, thumbnail[:, ::-1]])
    signs = both[:, :, 1:] > both[:, :, :-1]
    return Fingerprint(content, np.packbits(signs.reshape(2, BITS), axis=1))


def find_copies(
    first: Sequence[str],
    second: Sequence[str],
    cache: ImageCache | None = None,
) -> list[Copy]:
    """For each path of ``second`` that is a copy, the nearest of ``first``.

    The first are those of the validation images, for example. The second are
    not decoded if there is a cache of them.
    """
    known = [(x, fingerprint(x)) for x in track(first, 'Fingerprints')]
    by_content = {print_.content: path for path, print_ in known}
    seen = [(path, p.bits) for path, p in known if p.bits is not None]
    bits = np.array([b for _, b in seen]).reshape(-1, 2, BITS // 8)
    copies = []
    for path in track(second, 'Near duplicates'):
        content, own = fingerprint(path, cache)
        if content in by_content:
            copies.append(Copy(by_content[content], path))
        elif own is not None and len(bits):
            # Mirroring one of the two is enough.
            different = _ONES[bits ^ own[0]].sum(axis=2)
            nearest = int(different.min(1).argmin())
            if different[nearest].min() <= MAX_DISTANCE:
                copies.append(Copy(seen[nearest][0], path))
    return copies
