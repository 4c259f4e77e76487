"""Decode any image file to uint8 BGR, or raise with the reason.

Well-formed JPEG and PNG without transparency go through OpenCV, which is
fast. OpenCV returns grey areas for a truncated file, drops transparency,
leaves out some formats and can crash on a damaged animation, so everything
else goes through Pillow, which is strict. So do files of more than 8 bits
(levels.py).
"""

from __future__ import annotations

import io
import os
import stat
import struct
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from ...utils.errors import UnreadableImageError
from .levels import as_stretch, row_blocks, to_8_bits
from .shards import find_member

# Pillow is asked for these only: some of its readers start other programs.
PILLOW_FORMATS = ('JPEG', 'PNG', 'GIF', 'BMP', 'WEBP', 'TIFF', 'PPM')
_JPEG, _JPEG_END = b'\xff\xd8\xff', b'\xff\xd9'
_TIFF = b'II*\0', b'MM\0*', b'II+\0', b'MM\0+'
_PNG, _PNG_END = b'\x89PNG\r\n\x1a\n', b'IEND\xaeB`\x82'
# Pixels of one image, 537 MB when decoded: a file of a few kB can claim any
# size.
MAX_PIXELS = 178_956_970
# OpenCV decodes no more.
LARGEST_PIXELS = 1 << 30
# 16 bits of four channels: no file that can be decoded is larger. It is read
# whole.
_BYTES_OF_PIXEL = 8
# Held while Pillow's limit, which is one for the process, is another.
_pillow = threading.Lock()
# Values of the EXIF tag with which width and height change places.
_LYING = (5, 6, 7, 8)


def orientation(image: Image.Image) -> int:
    """How the EXIF tag of an open image turns it; 1 if it does not."""
    # getexif of a PNG decodes it for a tag that lies behind its pixels.
    return Image.Image.getexif(image).get(ExifTags.Base.Orientation) or 1


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
            narrow = to_8_bits(image, data, stretch)
            if apply_orientation:
                ImageOps.exif_transpose(narrow, in_place=True)
            return _to_bgr(narrow)
    except UnreadableImageError:
        raise
    except UnidentifiedImageError as error:
        kind = 'not an image of a known format'
        if data.startswith(_TIFF):
            kind = (
                'a TIFF of a kind that is not read: expected grey, or 3 or 4 '
                'channels that it calls RGB, of 8 or 16 bits; convert it, as '
                'by gdal_translate -b 1 -b 2 -b 3 -co PHOTOMETRIC=RGB IN OUT'
            )
        raise UnreadableImageError(kind) from error
    # Pillow's readers raise nearly anything on damaged input.
    except Exception as error:
        reason = f'{type(error).__name__}: {error}'
        raise UnreadableImageError(reason) from error


def _to_bgr(image: Image.Image) -> NDArray[np.uint8]:
    bgr = np.empty((image.height, image.width, 3), np.uint8)
    for rows in row_blocks(image.height, image.width):
        part = image.crop((0, rows.start, image.width, rows.stop))
        bgr[rows] = _to_rgb(part)[..., ::-1]
    return bgr


def _to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode in ('RGBA', 'LA', 'PA', 'La', 'RGBa') or (
        'transparency' in image.info
    ):
        rgba = image.convert('RGBA')
        white = Image.new('RGBA', rgba.size, 'white')
        image = Image.alpha_composite(white, rgba)
    return np.asarray(image.convert('RGB'))
