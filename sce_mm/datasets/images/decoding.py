"""Decode any image file to uint8 BGR, or raise with the reason.

Well-formed JPEG and PNG without transparency go through OpenCV, which is
fast. OpenCV returns grey areas for a truncated file, drops transparency,
leaves out some formats and can crash on a damaged animation, so everything
else goes through Pillow, which is strict. So do files of more than 8 bits,
whose levels have to be brought to 8.
"""

from __future__ import annotations

import io
import math
import mmap
import os
import re
import stat
import struct
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, TiffImagePlugin, UnidentifiedImageError

from ...utils.errors import UserError
from ...utils.progress import warn
from .shards import find_member

# Pillow is asked for these only: some of its readers start other programs.
PILLOW_FORMATS = ('JPEG', 'PNG', 'GIF', 'BMP', 'WEBP', 'TIFF', 'PPM')
_JPEG, _JPEG_END = b'\xff\xd8\xff', b'\xff\xd9'
_PNG, _PNG_END = b'\x89PNG\r\n\x1a\n', b'IEND\xaeB`\x82'
_GAP = rb'(?:\s|#[^\n]*\n)+'
# A colour PPM: width, height and highest level, between gaps and comments.
_PPM = re.compile(rb'P[36]' + 3 * (_GAP + rb'(\d+)'))
# Pixels of one image, 537 MB when decoded: a file of a few kB can claim any
# size.
MAX_PIXELS = 178_956_970
# OpenCV decodes no more.
LARGEST_PIXELS = 1 << 30
# 16 bits of four channels: no file that can be decoded is larger. It is read
# whole.
_BYTES_OF_PIXEL = 8
# Rows are converted in blocks of so many pixels: copies of a whole large image
# would take several times its memory.
_BLOCK_PIXELS = 1 << 24
# Held while Pillow's limit, which is one for the process, is another.
_pillow = threading.Lock()
# EXIF tag, and its values with which width and height change places.
_ORIENTATION, _LYING = 0x0112, (5, 6, 7, 8)
# Levels of 16 bits that leave less than 64 of the 256 are warned of.
_FEW_LEVELS = 1 << 14
# Not 0 once they were: workers that are forked share the byte.
_warned = mmap.mmap(-1, 1)


class UnreadableImageError(UserError):
    """The bytes are not an image that can be decoded in full."""


def orientation(image: Image.Image) -> int:
    """How the EXIF tag of an open image turns it; 1 if it does not."""
    # getexif of a PNG decodes it for a tag that lies behind its pixels.
    return Image.Image.getexif(image).get(_ORIENTATION) or 1


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


def require_plain_file(path: str, max_pixels: int = MAX_PIXELS) -> None:
    """Refuse a local path that makes a reader wait or fills the memory."""
    if member := find_member(path):
        size = member.size
    else:
        status = os.stat(path)
        size = status.st_size
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableImageError('a folder, pipe or device, not a file')
    max_bytes = _BYTES_OF_PIXEL * max_pixels
    if size > max_bytes:
        raise UnreadableImageError(
            f'{size:,} bytes are more than {max_bytes:,}: {_advice("N")}'
        )


@contextmanager
def any_size() -> Iterator[None]:
    """Let Pillow open images that it would find too large, and odd ones."""
    with _pillow, warnings.catch_warnings():
        warnings.simplefilter('ignore')
        limit = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def header_size(
    source: str | Path | IO[bytes], apply_orientation: bool = True
) -> tuple[int, int]:
    """Height and width of an image as it is decoded, by its header alone.

    Raises:
        UnreadableImageError: It has no header, or one of another kind.
    """
    # Pillow's readers raise nearly anything on damaged input.
    try:
        with any_size(), Image.open(source, formats=PILLOW_FORMATS) as image:
            width, height = image.size
            turned = orientation(image) in _LYING
    except Exception as error:
        raise UnreadableImageError(str(error)) from error
    return (width, height) if turned and apply_orientation else (height, width)


def decode_image(
    data: bytes,
    apply_orientation: bool = True,
    stretch: Sequence[float] | None = None,
    max_pixels: int = MAX_PIXELS,
) -> NDArray[np.uint8]:
    """Decode the bytes of an image file.

    Grey becomes three equal channels; transparency is composited on white;
    16-bit levels are divided by 257; CMYK and palettes are converted; of an
    animation or a multi-page file the first frame is taken. Once in a run,
    16-bit levels that lie so close together that the image comes out black or
    flat are warned of.

    Args:
        data: Content of the file.
        apply_orientation: Turn the image as its EXIF tag says, as viewers
            and mmcv do; PIL and torchvision by themselves do not.
        stretch: Levels that become 0 and 255 in images of more than 8 bits.
            One pair for all images: a range of each image's own would give
            the same level another brightness in each. Makes 32-bit integer
            and floating-point levels readable too; not a number becomes 0.
        max_pixels: Most pixels that an image may have.

    Returns:
        Contiguous [h, w, 3] uint8 BGR.

    Raises:
        UnreadableImageError: Empty, truncated, damaged, of another kind or
            of more than ``max_pixels`` pixels.
        UserError: ``stretch`` is not a range.
    """
    stretch = as_stretch(stretch)
    if not data:
        raise UnreadableImageError('the file is empty')
    if sides := _sides_for_opencv(data):
        _refuse_bomb(sides, max_pixels)
        flag = cv2.IMREAD_COLOR
        if not apply_orientation:
            flag |= cv2.IMREAD_IGNORE_ORIENTATION
        try:
            image = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
        except cv2.error as error:
            raise UnreadableImageError(str(error).strip()) from error
        if image is not None:
            return np.asarray(image)
    return _decode_with_pillow(data, apply_orientation, stretch, max_pixels)


def _sides_for_opencv(data: bytes) -> tuple[int, ...]:
    """Width and height of what OpenCV decodes in full and as expected."""
    if data.startswith(_JPEG) and data.endswith(_JPEG_END):
        frame = _jpeg_frame(data)
        # Byte 9 of the frame is the number of colour components.
        if frame and data[frame + 9] in (1, 3):
            return struct.unpack_from('>HH', data, frame + 5)[::-1]
    if data.startswith(_PNG) and data.endswith(_PNG_END):
        header = data[: data.find(b'IDAT')]
        # Byte 24 is the number of bits, byte 25 the colour type; bit 2 of
        # that is the alpha channel.
        plain = len(header) > 25 and not header[25] & 4 and header[24] < 16
        # On damaged animations (acTL) OpenCV 4.11 ends the process.
        if plain and b'tRNS' not in header and b'acTL' not in header:
            return struct.unpack_from('>II', data, 16)
    return ()


def _refuse_bomb(sides: tuple[int, ...], max_pixels: int) -> None:
    """Raise before room is made for an image that is too large."""
    width, height = sides
    pixels = width * height
    if pixels > max_pixels:
        advice = _advice(pixels)
        if pixels > LARGEST_PIXELS:
            advice = f'cut it into images of at most {LARGEST_PIXELS:,}'
        raise UnreadableImageError(
            f'{width} x {height} pixels are more than {max_pixels:,}: {advice}'
        )


def _advice(max_pixels: int | str) -> str:
    options = f'--full-size --max-pixels {max_pixels}'
    return f'if the file is what it should be, {cache_advice(options)}'


def cache_advice(options: str) -> str:
    """How images are decoded once, as the end of a message."""
    return (
        'decode the images once with sce cache '
        f'DATA CACHE {options}, and train with --cache CACHE'
    )


def _jpeg_frame(data: bytes) -> int:
    """Where the header of the frame begins in a JPEG, 0 if there is none."""
    place = 2
    while place + 10 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:
            place += 1
            continue
        # Start of frame, but for the three other tables in that range.
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return place
        place += 2 + int(struct.unpack_from('>H', data, place + 2)[0])
    return 0


def _decode_with_pillow(
    data: bytes,
    apply_orientation: bool,
    stretch: tuple[float, float] | None,
    max_pixels: int,
) -> NDArray[np.uint8]:
    try:
        with any_size():
            image = Image.open(io.BytesIO(data), formats=PILLOW_FORMATS)
        with image, warnings.catch_warnings():
            # Odd metadata are no reason to speak up.
            warnings.simplefilter('ignore')
            _refuse_bomb(image.size, max_pixels)
            # Pillow asks a TIFF again; others need not wait for a lock.
            is_large = image.width * image.height > MAX_PIXELS
            with any_size() if is_large else nullcontext():
                image.load()
            narrow = _to_8_bits(image, data, stretch)
            if apply_orientation:
                ImageOps.exif_transpose(narrow, in_place=True)
            return _to_bgr(narrow)
    except UnreadableImageError:
        raise
    except UnidentifiedImageError as error:
        raise UnreadableImageError('not an image of a known format') from error
    # Pillow's readers raise nearly anything on damaged input.
    except Exception as error:
        reason = f'{type(error).__name__}: {error}'
        raise UnreadableImageError(reason) from error


def _to_8_bits(
    image: Image.Image, data: bytes, stretch: tuple[float, float] | None
) -> Image.Image:
    """The image itself, or one of 8 bits if it has more."""
    levels = _deep_levels(image, data)
    if levels is None:
        return image
    colours, alpha = levels[..., :3], levels[..., 3:]
    if stretch is None:
        _refuse_unknown_range(colours)
        _warn_of_few_levels(colours)
    full = 0, 65535
    pixels = np.concatenate(
        [_narrowed(colours, *(stretch or full)), _narrowed(alpha, *full)], 2
    )
    if pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    narrow = Image.fromarray(pixels)
    # The orientation alone: Pillow before 11 cannot copy the tags of a TIFF
    # that has several strips.
    exif = Image.Exif()
    exif[_ORIENTATION] = image.getexif().get(_ORIENTATION, 1)
    narrow.info['exif'] = exif.tobytes()
    return narrow


def is_deep(image: Image.Image, data: bytes) -> bool:
    """Whether levels of an open image have more than 8 bits."""
    return _is_one_deep_channel(image) or max(_bits(image, data)) > 8


def _is_one_deep_channel(image: Image.Image) -> bool:
    return image.mode.startswith('I') or image.mode == 'F'


def _bits(image: Image.Image, data: bytes) -> Sequence[int]:
    """Bits of a level in each channel of an open image."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (1,))
    if ppm := _PPM.match(data):
        return (16 if int(ppm[3]) > 255 else 8,)
    return (data[24],) if data.startswith(_PNG) else (8,)


def _deep_levels(image: Image.Image, data: bytes) -> NDArray[Any] | None:
    """[h, w, 1, 3 or 4] levels in RGB, None where 8 bits hold them."""
    if _is_one_deep_channel(image):
        return np.asarray(image)[..., None]
    if image.mode not in ('RGB', 'RGBA', 'LA'):
        return None
    if max(_bits(image, data)) != 16:
        return None
    # Pillow's upper 8 bits will do for transparent colours and animations.
    if 'transparency' in image.info or b'acTL' in data[:4096]:
        return None
    flags = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
    found = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if found is None or found.dtype != np.uint16:
        return None
    levels = np.asarray(found[..., [2, 1, 0, 3][: found.shape[2]]])
    ppm = _PPM.match(data)
    if ppm and (highest := int(ppm[3])) < 65535:
        # As Pillow does it in grey.
        return (levels * np.uint32(65535) + highest // 2) // highest
    return levels


def _refuse_unknown_range(levels: NDArray[Any]) -> None:
    advice = 'or give LoadImage the range of levels: stretch=(low, high)'
    if levels.dtype.kind == 'f':
        raise UnreadableImageError(
            f'floating-point levels; convert to 8 or 16 bit, {advice}'
        )
    if levels.min() < 0 or levels.max() > 65535:
        raise UnreadableImageError(
            f'32-bit integer levels; convert to 16 bit, {advice}'
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
    for rows in _blocks(*levels.shape[:2]):
        share = (levels[rows].astype(np.float32) - low) * (255 / (high - low))
        narrow[rows] = np.rint(np.nan_to_num(share).clip(0, 255))
    return narrow


def _to_bgr(image: Image.Image) -> NDArray[np.uint8]:
    bgr = np.empty((image.height, image.width, 3), np.uint8)
    for rows in _blocks(image.height, image.width):
        part = image.crop((0, rows.start, image.width, rows.stop))
        bgr[rows] = _to_rgb(part)[..., ::-1]
    return bgr


def _blocks(height: int, width: int) -> Iterator[slice]:
    step = max(1, _BLOCK_PIXELS // max(1, width))
    for top in range(0, height, step):
        yield slice(top, min(top + step, height))


def _to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode in ('RGBA', 'LA', 'PA', 'La', 'RGBa') or (
        'transparency' in image.info
    ):
        rgba = image.convert('RGBA')
        white = Image.new('RGBA', rgba.size, 'white')
        image = Image.alpha_composite(white, rgba)
    return np.asarray(image.convert('RGB'))
