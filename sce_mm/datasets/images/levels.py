"""Bring the levels of images of more than 8 bits to 8.

Pillow opens such files. It has all levels of grey images, and the upper 8
bits of colours, whose other bits OpenCV reads.
"""

from __future__ import annotations

import math
import mmap
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, TiffImagePlugin

from ...utils.errors import UnreadableImageError, UserError
from ...utils.progress import warn

_GAP = rb'(?:\s|#[^\n]*\n)+'
# A colour PPM: width, height and highest level, between gaps and comments.
_PPM = re.compile(rb'P[36]' + 3 * (_GAP + rb'(\d+)'))
# Rows are converted in blocks of so many pixels: copies of a whole large image
# would take several times its memory.
_BLOCK_PIXELS = 1 << 24
# Levels of 16 bits that leave less than 64 of the 256 are warned of.
_FEW_LEVELS = 1 << 14
# Not 0 once they were: workers that are forked share the byte.
_warned = mmap.mmap(-1, 1)


def as_stretch(value: Sequence[float] | None) -> tuple[float, float] | None:
    """The ``stretch`` of :func:`decode_image`, checked."""
    if value is None:
        return None
    with suppress(TypeError, ValueError):
        low, high = map(float, value)
        if -math.inf < low < high < math.inf:
            return low, high
    raise UserError(
        'stretch must be a pair (low, high) of levels with low < high, '
        f'such as (0, 4095) for 12 bits, got {value!r}'
    )


def to_8_bits(
    image: Image.Image, data: bytes, stretch: tuple[float, float] | None
) -> Image.Image:
    """The image itself, or one of 8 bits if it has more.

    Args:
        image: Image that Pillow has loaded.
        data: The file.
        stretch: Levels that become 0 and 255; those of 16 bits otherwise.

    Raises:
        UnreadableImageError: The range of the levels is not known, or not
            even their upper 8 bits can be read, or not more and there is a
            stretch.
    """
    if _is_one_deep_channel(image):
        levels = _grey_levels(image)
    elif not is_deep(image, data):
        return image
    elif (found := _colour_levels(image, data)) is not None:
        levels = found
    elif stretch:
        raise UnreadableImageError(
            f'only 8 of the {max(_bits(image, data))} bits of its levels can '
            'be read, and a stretch is for all: convert it to a PNG of 16 bits'
        )
    else:
        _warn_of_few_levels(np.asarray(image.convert('RGB')) * np.uint16(257))
        return image
    colours, alpha = levels[..., :3], levels[..., 3:]
    if stretch is None:
        _refuse_unknown_range(colours)
        _warn_of_few_levels(colours)
    full = 0, 65535
    narrowed = _narrowed(colours, *(stretch or full))
    if _white_is_zero(image):
        narrowed = 255 - narrowed
    pixels = np.concatenate([narrowed, _narrowed(alpha, *full)], 2)
    if pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    narrow = Image.fromarray(pixels)
    # The orientation alone: Pillow before 11 cannot copy the tags of a TIFF
    # that has several strips.
    exif = Image.Exif()
    tag = ExifTags.Base.Orientation
    exif[tag] = image.getexif().get(tag, 1)
    narrow.info['exif'] = exif.tobytes()
    return narrow


def is_deep(image: Image.Image, data: bytes) -> bool:
    """Whether levels of an open image have more than 8 bits."""
    return _is_one_deep_channel(image) or max(_bits(image, data)) > 8


def _is_one_deep_channel(image: Image.Image) -> bool:
    return image.mode.startswith('I') or image.mode == 'F'


def _tiff_tags(image: Image.Image) -> Mapping[int, Any]:
    """Tags of an open TIFF; empty for other formats."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return image.tag_v2
    return {}


def _bits(image: Image.Image, data: bytes) -> Sequence[int]:
    """Bits of a level in each channel of an open image."""
    if tags := _tiff_tags(image):
        return tags.get(TiffImagePlugin.BITSPERSAMPLE, (1,))
    if ppm := _PPM.match(data):
        return (16 if int(ppm[3]) > 255 else 8,)
    return (data[24],) if image.format == 'PNG' else (8,)


def _grey_levels(image: Image.Image) -> NDArray[Any]:
    """[h, w, 1] levels of an image of one deep channel, as the file has."""
    levels = np.asarray(image)
    if tags := _tiff_tags(image):
        kind = tags.get(TiffImagePlugin.SAMPLEFORMAT, (1,))[0]
        if levels.dtype == np.int32 and kind != 2:
            # Pillow has no unsigned ones.
            levels = levels.view(np.uint32)
    return levels[..., None]


def _white_is_zero(image: Image.Image) -> bool:
    """Whether low levels are bright, which Pillow minds in 8 bits alone."""
    kind = _tiff_tags(image).get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION)
    return _is_one_deep_channel(image) and kind == 0


def _colour_levels(image: Image.Image, data: bytes) -> NDArray[Any] | None:
    """[h, w, 3 or 4] levels in RGB; None where only 8 bits can be read."""
    tags = _tiff_tags(image)
    if tags.get(TiffImagePlugin.PLANAR_CONFIGURATION) == 2:
        raise UnreadableImageError(
            'channels of 16 bits one after another (planar): convert it to a '
            'PNG of 16 bits'
        )
    if image.mode not in ('RGB', 'RGBA', 'LA'):
        return None
    if max(_bits(image, data)) != 16:
        return None
    # OpenCV leaves out transparent colours and animations.
    if 'transparency' in image.info or b'acTL' in data[:4096]:
        return None
    flags = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
    # It says on standard error what it cannot decompress.
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    found = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    cv2.utils.logging.setLogLevel(level)
    channels = [2, 1, 0, 3][: 3 if image.mode == 'RGB' else 4]
    if (
        found is None
        or found.dtype != np.uint16
        or found.ndim < 3
        or found.shape[2] < len(channels)
    ):
        return None
    levels = np.asarray(found[..., channels])
    if tags:
        # OpenCV does not divide colours by their opacity, for one.
        return levels if _has_upper_bits(levels, image) else None
    ppm = _PPM.match(data)
    if ppm and (highest := int(ppm[3])) < 65535:
        # As Pillow does it in grey.
        return (levels * np.uint32(65535) + highest // 2) // highest
    return levels


def _has_upper_bits(levels: NDArray[Any], image: Image.Image) -> bool:
    """Whether the upper 8 of 16 bits are those that Pillow has read."""
    upper = np.asarray(image)
    return levels.shape == upper.shape and all(
        np.array_equal(levels[rows] >> 8, upper[rows])
        for rows in row_blocks(*levels.shape[:2])
    )


def _refuse_unknown_range(levels: NDArray[Any]) -> None:
    advice = 'or give LoadImage the range of levels: stretch=(low, high)'
    if levels.dtype.kind == 'f':
        raise UnreadableImageError(
            f'floating-point levels; convert to 8 or 16 bit, {advice}'
        )
    if levels.min() < 0 or levels.max() > 65535:
        raise UnreadableImageError(
            f'signed or 32-bit integer levels; convert to 16 bit, {advice}'
        )


def _warn_of_few_levels(levels: NDArray[Any]) -> None:
    if _warned[0]:
        return
    # A dead or hot pixel of the camera is no content.
    low = int(np.percentile(levels, 0.1, method='lower'))
    high = int(np.percentile(levels, 99.9, method='higher'))
    # An image of one level may well be meant so.
    if not 0 < high - low < _FEW_LEVELS:
        return
    _warned[0] = 1
    warn(
        f'an image of 16 bits has levels from {low} to {high} of 65535 and '
        f'comes out black or flat: {(low + 128) // 257} to '
        f'{(high + 128) // 257} of 255. If others are like it, as those of '
        '12-bit and thermal cameras are, give LoadImage in every pipeline '
        'one range for all images, such as stretch=(0, 4095) for 12 bits '
        '(not said again)'
    )


def _narrowed(
    levels: NDArray[Any], low: float, high: float
) -> NDArray[np.uint8]:
    """Levels in [low, high] as 0 to 255."""
    narrow = np.empty(levels.shape, np.uint8)
    for rows in row_blocks(*levels.shape[:2]):
        share = (levels[rows].astype(np.float32) - low) * (255 / (high - low))
        narrow[rows] = np.rint(np.nan_to_num(share).clip(0, 255))
    return narrow


def row_blocks(height: int, width: int) -> Iterator[slice]:
    """Rows of an image in blocks that are converted at a time."""
    step = max(1, _BLOCK_PIXELS // max(1, width))
    for top in range(0, height, step):
        yield slice(top, min(top + step, height))
