"""Decode any image file to uint8 BGR, or say why it cannot be.

Well-formed JPEG and PNG without transparency go through OpenCV, which is
fast. OpenCV returns grey areas for a truncated file, drops transparency,
leaves out some formats and can crash on a damaged animation, so everything
else goes through Pillow, which is strict.
"""

from __future__ import annotations

import io
import struct
import warnings

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

# Pillow is asked for these only: some of its readers start other programs.
_FORMATS = ('JPEG', 'PNG', 'GIF', 'BMP', 'WEBP', 'TIFF', 'PPM')
_JPEG, _JPEG_END = b'\xff\xd8\xff', b'\xff\xd9'
_PNG, _PNG_END = b'\x89PNG\r\n\x1a\n', b'IEND\xaeB`\x82'
# Of one image: 537 MB when decoded. A few kB of file can claim any size.
MAX_PIXELS = 178_956_970


class UnreadableImageError(ValueError):
    """The bytes are not an image that can be decoded in full."""


def decode_image(
    data: bytes, apply_orientation: bool = True
) -> NDArray[np.uint8]:
    """Decode the bytes of an image file.

    Grey becomes three equal channels; transparency is composited on white;
    16-bit levels are divided by 257, so that the full range stays the full
    range; CMYK and palettes are converted; of an animation or a multi-page
    file the first frame is taken.

    Args:
        data: Content of the file.
        apply_orientation: Turn the image as its EXIF tag says, as viewers
            and mmcv do; PIL and torchvision by themselves do not.

    Returns:
        Contiguous [h, w, 3] uint8 BGR.

    Raises:
        UnreadableImageError: Empty, truncated, damaged, of another kind or
            of more than ``MAX_PIXELS`` pixels.
    """
    if not data:
        raise UnreadableImageError('the file is empty')
    if _opencv_is_right(data):
        _refuse_bomb(*_size_in_header(data))
        flag = cv2.IMREAD_COLOR
        if not apply_orientation:
            flag |= cv2.IMREAD_IGNORE_ORIENTATION
        try:
            image = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
        except cv2.error as error:
            raise UnreadableImageError(str(error).strip()) from error
        if image is not None:
            return np.asarray(image)
    return _decode_with_pillow(data, apply_orientation)


def _opencv_is_right(data: bytes) -> bool:
    """Whether OpenCV decodes this file in full and as expected."""
    if data.startswith(_JPEG):
        return data.endswith(_JPEG_END) and jpeg_components(data) in (1, 3)
    if data.startswith(_PNG) and data.endswith(_PNG_END):
        header = data[: data.find(b'IDAT')]
        # Byte 25 is the colour type; bit 2 of it is the alpha channel.
        plain = len(header) > 25 and not header[25] & 4
        # On damaged animations (acTL) OpenCV 4.11 ends the process.
        return plain and not any(tag in header for tag in (b'tRNS', b'acTL'))
    return False


def _size_in_header(data: bytes) -> tuple[int, int]:
    """Width and height that a PNG or JPEG says it has."""
    if data.startswith(_PNG):
        width, height = struct.unpack_from('>II', data, 16)
    else:
        height, width = struct.unpack_from('>HH', data, _jpeg_frame(data) + 5)
    return width, height


def _refuse_bomb(width: int, height: int) -> None:
    """Raise before room is made for an image that is too large.

    Raises:
        UnreadableImageError: It has more than ``MAX_PIXELS``.
    """
    if width * height > MAX_PIXELS:
        raise UnreadableImageError(
            f'{width} x {height} pixels are more than {MAX_PIXELS:,}: '
            'make it smaller'
        )


def jpeg_components(data: bytes) -> int:
    """Number of colour components in the header of a JPEG, 0 if none."""
    frame = _jpeg_frame(data)
    return data[frame + 9] if frame else 0


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
    data: bytes, apply_orientation: bool
) -> NDArray[np.uint8]:
    try:
        with warnings.catch_warnings():
            # Odd metadata and large sizes are no reason to speak up.
            warnings.simplefilter('ignore')
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                _refuse_bomb(*image.size)
                upright = (
                    ImageOps.exif_transpose(image)
                    if apply_orientation
                    else image
                )
                rgb = _to_rgb(upright)
    except UnreadableImageError:
        raise
    # Pillow's readers raise nearly anything on damaged input.
    except Exception as error:
        raise UnreadableImageError(_reason(error)) from error
    return np.ascontiguousarray(rgb[..., ::-1])


def _to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode.startswith('I'):
        levels = np.asarray(image).astype(np.int32)
        if levels.min() < 0 or levels.max() > 65535:
            raise UnreadableImageError(
                '32-bit integer levels; convert to 16 bit'
            )
        grey = ((levels + 128) // 257).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if image.mode == 'F':
        raise UnreadableImageError(
            'floating-point levels; convert to 8 or 16 bit'
        )
    if image.mode in ('RGBA', 'LA', 'PA', 'La', 'RGBa') or (
        'transparency' in image.info
    ):
        rgba = image.convert('RGBA')
        white = Image.new('RGBA', rgba.size, 'white')
        image = Image.alpha_composite(white, rgba)
    return np.asarray(image.convert('RGB'))


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return 'not an image of a known format'
    return f'{type(error).__name__}: {error}'
