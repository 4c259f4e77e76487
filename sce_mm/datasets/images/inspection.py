"""Look at image files: what they are, and what of it a training meets."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...utils.errors import UnreadableImageError
from .decoding import (
    PILLOW_FORMATS,
    any_size,
    decode_image,
    orientation,
    require_plain_file,
)
from .levels import is_deep
from .near_duplicates import Fingerprint, fingerprint_of
from .parallel import map_images
from .shards import read_file

GREY, DEEP, FLAT = 'grey', 'more than 8 bits', 'black or flat'
CMYK, PALETTE, ALPHA = 'CMYK', 'palette', 'transparent'
FRAMES, TURNED = 'several frames or pages', 'turned by EXIF'
# A grey image that was saved in colour, as JPEG, has colours up to here.
_GREY_LEVELS = 8
# Levels of 16 bits that span less than a quarter come out so.
_FLAT_LEVELS = 64
# Colours are looked for in so many rows and columns of a large image.
_LOOKED_AT = 256


class ImageFacts(NamedTuple):
    """What an image file is.

    Attributes:
        path: Where it is.
        height: Pixels after the EXIF tag has turned it; 0 if unreadable.
        width: Likewise.
        kinds: What is particular, of the constants of this module.
        file_bytes: Size of the file.
        seconds: What decoding took.
        print: Its fingerprint.
        problem: Why it cannot be read; empty if it can.
    """

    path: str
    height: int
    width: int
    kinds: tuple[str, ...]
    file_bytes: int
    seconds: float
    print: Fingerprint
    problem: str = ''


def inspect_images(
    paths: Sequence[str], workers: int = 1
) -> Iterator[ImageFacts]:
    """Decode each image once and yield what it is, in the order of the paths.

    Args:
        paths: Paths of the images.
        workers: Processes that decode.

    Raises:
        UserError: A process was killed, as happens without enough memory.
    """
    return map_images(_inspect, paths, workers, 'Images')


def _inspect(path: str) -> ImageFacts:
    data = b''
    try:
        require_plain_file(path)
        data = read_file(path)
        start = time.perf_counter()
        image = decode_image(data)
        seconds = time.perf_counter() - start
    except (OSError, UnreadableImageError) as error:
        print_ = fingerprint_of(data, None)
        reason = getattr(error, 'strerror', None) or str(error)
        return ImageFacts(path, 0, 0, (), len(data), 0, print_, reason)
    height, width = image.shape[:2]
    kinds = tuple(_kinds(data, image))
    print_ = fingerprint_of(data, image)
    return ImageFacts(path, height, width, kinds, len(data), seconds, print_)


def _kinds(data: bytes, pixels: NDArray[np.uint8]) -> Iterator[str]:
    if _is_grey(pixels):
        yield GREY
    # Pillow's readers raise nearly anything on odd files.
    with (
        suppress(Exception),
        any_size(),
        Image.open(io.BytesIO(data), formats=PILLOW_FORMATS) as image,
    ):
        if is_deep(image, data):
            yield DEEP
            if int(pixels.max()) - int(pixels.min()) < _FLAT_LEVELS:
                yield FLAT
        if image.mode == 'CMYK':
            yield CMYK
        if image.mode in ('P', 'PA'):
            yield PALETTE
        if 'A' in image.getbands() or 'transparency' in image.info:
            yield ALPHA
        if getattr(image, 'is_animated', False):
            yield FRAMES
        if orientation(image) != 1:
            yield TURNED


def _is_grey(pixels: NDArray[np.uint8]) -> bool:
    """Whether an image has no colours, whatever its file could hold."""
    steps = [max(1, side // _LOOKED_AT) for side in pixels.shape[:2]]
    blue, green, red = cv2.split(pixels[:: steps[0], :: steps[1]])
    return all(
        int(cv2.absdiff(green, other).max()) <= _GREY_LEVELS
        for other in (blue, red)
    )
