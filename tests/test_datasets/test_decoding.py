"""Every kind of image file becomes the image that a viewer shows."""

import re
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from image_files import encode, exif, photo, plain_tiff, png16, tiff16
from numpy.typing import NDArray
from PIL import Image

from sce_mm.datasets import UnreadableImageError, decode_image
from sce_mm.datasets.images import decoding, levels

Levels = NDArray[Any]
RGB = np.asarray(photo())
GREY = np.asarray(photo().convert('L'))
GREY3 = np.repeat(GREY[..., None], 3, axis=2)
CMYK = photo().convert('CMYK')
PALETTE = photo().quantize(64)
ALPHA = np.linspace(0, 255, GREY.size).reshape(GREY.shape).round()
RGBA = np.dstack([RGB, ALPHA]).astype(np.uint8)
ON_WHITE = (RGB * (ALPHA / 255)[..., None]) + (255 - ALPHA)[..., None]
TURNED = photo().transpose(Image.Transpose.ROTATE_90)
FRAMES = dict(save_all=True, append_images=[TURNED.resize((81, 61))] * 2)

# name: bytes, expected RGB, largest mean deviation
KINDS = {
    'jpeg': (encode(photo(), 'JPEG', quality=98), RGB, 4.0),
    'jpeg grey': (
        encode(photo().convert('L'), 'JPEG', quality=98), GREY3, 1.0,
    ),
    'jpeg cmyk': (
        encode(CMYK, 'JPEG', quality=98), np.asarray(CMYK.convert('RGB')), 2.0,
    ),
    'jpeg and padding': (
        encode(photo(), 'JPEG', quality=98) + b'\0' * 99, RGB, 4.0,
    ),
    'png': (encode(photo(), 'PNG'), RGB, 0.0),
    'png grey': (encode(photo().convert('L'), 'PNG'), GREY3, 0.0),
    'png rgba': (encode(Image.fromarray(RGBA), 'PNG'), ON_WHITE, 0.5),
    'png palette': (
        encode(PALETTE, 'PNG'), np.asarray(PALETTE.convert('RGB')), 0.0,
    ),
    'png 16-bit grey': (png16(GREY.astype(int) * 257), GREY3, 0.0),
    'png 16-bit rgb': (png16(RGB.astype(int) * 257), RGB, 0.0),
    'png animated': (encode(photo(), 'PNG', **FRAMES), RGB, 0.0),
    'gif animated': (
        encode(PALETTE, 'GIF', **FRAMES),
        np.asarray(PALETTE.convert('RGB')),
        0.0,
    ),
    'webp rgba': (
        encode(Image.fromarray(RGBA), 'WEBP', lossless=True, exact=True),
        ON_WHITE,
        0.5,
    ),
    'bmp': (encode(photo(), 'BMP'), RGB, 0.0),
    'tiff packed': (encode(photo(), 'TIFF', compression='tiff_lzw'), RGB, 0.0),
    'tiff cmyk': (
        encode(CMYK, 'TIFF'), np.asarray(CMYK.convert('RGB')), 0.0,
    ),
    'tiff 16-bit rgb': (tiff16(RGB.astype(int) * 257), RGB, 0.0),
    'tiff of several pages': (encode(photo(), 'TIFF', **FRAMES), RGB, 0.0),
    'ppm': (encode(photo(), 'PPM'), RGB, 0.0),
}  # fmt: skip


@pytest.mark.parametrize('kind', KINDS)
def test_files_become_the_picture_that_a_viewer_shows(kind: str) -> None:
    data, expected, mean = KINDS[kind]
    image = decode_image(data)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert image.shape == (61, 81, 3)
    assert np.abs(image[..., ::-1] - expected.astype(float)).mean() <= mean


@pytest.mark.parametrize('kind', ['JPEG', 'WEBP'])
def test_the_exif_orientation_is_applied_unless_refused(kind: str) -> None:
    data = encode(photo(), kind, exif=exif(6), quality=98)
    upright = np.rot90(RGB, -1).astype(float)
    image = decode_image(data)
    assert image.shape == (81, 61, 3)
    assert np.abs(image[..., ::-1] - upright).mean() < 10
    assert decode_image(data, apply_orientation=False).shape == (61, 81, 3)


@pytest.mark.parametrize('kind', ['jpeg', 'png', 'webp rgba', 'bmp'])
def test_a_truncated_file_is_unreadable(kind: str) -> None:
    data = KINDS[kind][0]
    for share in (0.02, 0.5, 0.97):
        with pytest.raises(UnreadableImageError):
            decode_image(data[: int(share * len(data))])


@pytest.mark.parametrize(
    ('data', 'message'),
    [
        (b'', 'the file is empty'),
        (b'\xff\xd8\xff\xd9', 'not an image'),
        (b'%!PS-Adobe-3.0 EPSF-3.0\n', 'not an image of a known format'),
        (
            encode(Image.fromarray(GREY.astype(np.float32)), 'TIFF'),
            'floating-point levels; convert to 8 or 16 bit',
        ),
        (
            encode(Image.fromarray(GREY.astype(np.int32) << 16), 'TIFF'),
            '32-bit integer levels; convert to 16 bit',
        ),
    ],
)
def test_what_is_no_image_is_refused_with_the_reason(
    data: bytes, message: str
) -> None:
    with pytest.raises(UnreadableImageError, match=message):
        decode_image(data)


def ppm16(levels: Levels, highest: int) -> bytes:
    """A binary 16-bit colour PPM."""
    height, width = levels.shape[:2]
    header = f'P6\n# by a camera\n{width} {height}\n{highest}\n'
    return header.encode() + levels.astype('>u2').tobytes()


RANDOM = np.random.default_rng(0)
GREY12 = RANDOM.integers(0, 4096, (8, 9))
RGB12 = RANDOM.integers(0, 4096, (8, 9, 3))
FULL = RANDOM.integers(0, 65536, (8, 9))


@pytest.fixture
def warned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is logged, as in a process that has not spoken yet."""
    lines: list[str] = []
    monkeypatch.setattr(levels, '_warned', bytearray(1))
    monkeypatch.setattr(levels, 'warn', lines.append)
    return lines


@pytest.mark.parametrize('write', [png16, tiff16])
def test_levels_that_come_out_flat_are_warned_of_once(
    warned: list[str], write: Callable[..., bytes]
) -> None:
    for flat in (FULL, FULL * 0):
        decode_image(write(flat))
    decode_image(KINDS['png'][0])
    decode_image(write(GREY12), stretch=(0, 4095))
    assert not warned
    # Dead and hot pixels do not hide a flat image.
    narrow = RANDOM.integers(7000, 9000, (64, 64))
    narrow[0, 0], narrow[9, 9] = 0, 65535
    decode_image(write(narrow))
    decode_image(write(RGB12))
    (line,) = warned
    assert re.search('from 700. to 899. of 65535', line)
    assert 'stretch=' in line


def test_where_opencv_reads_no_levels_the_upper_bits_are_left(
    warned: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rgb = RANDOM.integers(7000, 9000, (64, 64, 3))
    data = tiff16(rgb)
    # As for some compressions.
    monkeypatch.setattr(levels.cv2, 'imdecode', lambda *_: None)
    assert (decode_image(data)[..., ::-1] == rgb >> 8).all()
    assert re.search(r'from \d+ to \d+ of 65535', *warned)
    with pytest.raises(UnreadableImageError, match=r'8 of the 16 .* convert'):
        decode_image(data, stretch=(0, 4095))


WIDE = Image.fromarray((GREY12 << 9).astype(np.int32))
CELSIUS = Image.fromarray((GREY12 / 64 - 20).astype(np.float32))


@pytest.mark.parametrize(
    ('data', 'stretch', 'share'),
    [
        (png16(RGB12), (0, 4095), RGB12 / 4095),
        (tiff16(GREY12), (100, 3000), (GREY12 - 100) / 2900),
        (ppm16(RGB12, 65535), (0, 4095), RGB12 / 4095),
        (ppm16(RGB12, 4095), (0, 32767), RGB12 / 4095 * 65535 / 32767),
        (encode(WIDE, 'TIFF'), (0, 4095 << 9), GREY12 / 4095),
        (encode(CELSIUS, 'TIFF'), (-20, 40), GREY12 / 64 / 60),
    ],
)
def test_the_ends_of_a_stretch_become_black_and_white(
    data: bytes, stretch: tuple[float, float], share: Levels
) -> None:
    image = decode_image(data, stretch=stretch)[..., ::-1]
    expected = np.atleast_3d(share.clip(0, 1) * 255)
    assert np.abs(image - expected).max() < 0.501


DEEP = RANDOM.integers(0, 65536, (8, 9, 4)).astype(np.uint16)


@pytest.mark.parametrize(
    ('data', 'expected'),
    [
        (plain_tiff(DEEP[..., 0]), DEEP[..., :1] / 257),
        (
            plain_tiff(DEEP[..., 0], white_is_zero=True),
            255 - DEEP[..., :1] / 257,
        ),
        (plain_tiff(DEEP[..., :3]), DEEP[..., :3] / 257),
        # The near infrared, for example, is not how opaque a pixel is.
        (plain_tiff(DEEP, other_channels=0), DEEP[..., :3] / 257),
        (
            plain_tiff(DEEP, other_channels=2),
            255 - (65535.0 - DEEP[..., :3]) * DEEP[..., 3:] / 65535 / 257,
        ),
    ],
)
def test_channels_of_16_bits_are_what_a_tiff_says(
    data: bytes, expected: Levels
) -> None:
    image = decode_image(data)[..., ::-1]
    assert np.abs(image - np.broadcast_to(expected, (8, 9, 3))).max() <= 1.5


def test_the_levels_of_a_stretch_are_those_of_the_file() -> None:
    data = plain_tiff(GREY12.astype(np.uint16), white_is_zero=True)
    image = decode_image(data, stretch=(0, 4095))[..., :1]
    assert np.abs(image - (255 - GREY12[..., None] / 4095 * 255)).max() < 0.501


def test_levels_of_32_bits_have_no_sign_if_the_file_says_so() -> None:
    grey = np.array([[0, 1 << 31, (1 << 32) - 1]], np.uint32)
    image = decode_image(plain_tiff(grey), stretch=(0, (1 << 32) - 1))
    assert image[0, :, 0].tolist() == [0, 128, 255]
    signed = plain_tiff(np.array([[-5, 5]], np.int32))
    image = decode_image(signed, stretch=(-5, 5))
    assert image[0, :, 0].tolist() == [0, 255]
    with pytest.raises(UnreadableImageError, match=r'signed .* stretch='):
        decode_image(signed)


@pytest.mark.parametrize(
    ('data', 'message'),
    [
        (plain_tiff(DEEP[..., :3], planar=True), 'planar.* convert it'),
        (plain_tiff(DEEP[..., :2]), 'a TIFF of a kind .* convert it'),
        (plain_tiff(DEEP[..., :3], compression=34892), 'convert it'),
    ],
)
def test_what_cannot_be_read_says_what_to_do(
    data: bytes, message: str
) -> None:
    with pytest.raises(UnreadableImageError, match=message):
        decode_image(data)


def test_a_stretch_leaves_transparency_and_8_bits_alone() -> None:
    alpha = np.where(GREY12 < 2000, 0, 65535)
    data = png16(np.dstack([RGB12, alpha]))
    image = decode_image(data, stretch=(0, 4095))[..., ::-1]
    opaque = np.rint(RGB12 * (255 / 4095))
    expected = np.where(alpha[..., None] == 0, 255, opaque)
    np.testing.assert_array_equal(image, expected)
    for kind in ('png', 'jpeg', 'png rgba', 'gif animated'):
        data = KINDS[kind][0]
        np.testing.assert_array_equal(
            decode_image(data, stretch=(0, 99)), decode_image(data)
        )


def test_a_16_bit_file_is_turned_as_its_exif_says() -> None:
    data = bytearray(png16(GREY12))
    chunk = b'eXIf' + exif(6).tobytes().removeprefix(b'Exif\0\0')
    data[33:33] = (
        struct.pack('>I', len(chunk) - 4)
        + chunk
        + struct.pack('>I', zlib.crc32(chunk))
    )
    turned, as_it_is = (
        decode_image(bytes(data), apply_orientation=apply, stretch=(0, 4095))
        for apply in (True, False)
    )
    np.testing.assert_array_equal(turned, np.rot90(as_it_is, -1))


def test_a_file_damaged_inside_never_raises_anything_else() -> None:
    rng = np.random.default_rng(0)
    for data, *_ in KINDS.values():
        for _ in range(4):
            damaged = bytearray(data)
            for place in rng.integers(0, len(data), 5):
                damaged[place] = rng.integers(256)
            try:
                image = decode_image(bytes(damaged))
            except UnreadableImageError:
                continue
            assert image.ndim == 3


def claiming(kind: str, width: int, height: int) -> bytes:
    """A small file that says it is an image of this size."""
    data = bytearray(KINDS[kind][0])
    if kind == 'png':
        data[16:24] = struct.pack('>II', width, height)
        data[29:33] = struct.pack('>I', zlib.crc32(data[12:29]))
    elif kind == 'jpeg':
        place = data.index(b'\xff\xc0') + 5
        data[place : place + 4] = struct.pack('>HH', height, width)
    elif kind == 'bmp':
        data[18:26] = struct.pack('<ii', width, height)
    return bytes(data)


@pytest.mark.parametrize('kind', ['png', 'jpeg', 'bmp'])
def test_a_decompression_bomb_is_refused_from_its_header(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whatever others tell Pillow.
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', None)
    # OpenCV would make room for 2.7 GB, and fill it.
    with pytest.raises(
        UnreadableImageError, match=r'30000 x 20000 .* --max-pixels 600000000'
    ):
        decode_image(claiming(kind, 30000, 20000))


@pytest.mark.parametrize('kind', ['jpeg', 'png', 'bmp', 'tiff packed'])
def test_the_limit_is_the_one_that_is_given(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = KINDS[kind][0]
    with pytest.raises(UnreadableImageError, match='81 x 61 pixels are more'):
        decode_image(data, max_pixels=81 * 61 - 1)
    # As if the image were too large for Pillow and for LoadImage.
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 100)
    monkeypatch.setattr(decoding, 'MAX_PIXELS', 200)
    assert decode_image(data, max_pixels=81 * 61).shape == (61, 81, 3)
    assert Image.MAX_IMAGE_PIXELS == 100


def test_rows_are_converted_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    files = [KINDS['png rgba'][0], KINDS['gif animated'][0], png16(RGB12)]
    whole = [decode_image(data) for data in files]
    monkeypatch.setattr(levels, '_BLOCK_PIXELS', 81 * 7)
    for data, image in zip(files, whole, strict=True):
        np.testing.assert_array_equal(decode_image(data), image)
