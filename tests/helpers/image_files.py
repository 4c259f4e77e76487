"""Image files of every kind, made from one photograph."""

import io
import pickle
import struct
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[Any]


@cache
def photo() -> Image.Image:
    """A photograph of 81 x 61 pixels, so that rows need padding."""
    # Imported where it is used: a machine with a GPU may not have it.
    from sklearn.datasets import load_sample_image

    return Image.fromarray(load_sample_image('china.jpg')).resize((81, 61))


@cache
def photographs() -> dict[str, Array]:
    """Colour photographs [h, w, 3] RGB that ship in wheels."""
    from sklearn.datasets import load_sample_images

    # Not imported: a machine with a GPU may not have it.
    folder = Path(find_spec('skimage').origin).parent / 'data'
    files = ('astronaut.png', 'coffee.png', 'chelsea.png', 'rocket.jpg')
    found = {
        Path(file).stem: np.asarray(Image.open(folder / file).convert('RGB'))
        for file in files
    }
    china, flower = load_sample_images().images
    return {**found, 'china': china, 'flower': flower}


def smooth_noise(random: np.random.Generator) -> Array:
    """Colours of 64 x 64 pixels, of which no two look alike, BGR."""
    noise = random.integers(0, 255, (8, 8, 3), dtype=np.uint8)
    return cv2.resize(noise, (64, 64), interpolation=cv2.INTER_CUBIC)


def write_noise(folder: Path, count: int) -> None:
    """``0.png``, ``1.png``, ... of 50 x 40 random pixels."""
    random = np.random.default_rng(0)
    for index in range(count):
        pixels = random.integers(0, 255, (40, 50, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f'{index}.png'), pixels)


def write_cifar(
    path: Path, colours: list[tuple[int, ...]], key: str = 'labels'
) -> None:
    """A file of CIFAR with plain images of RGB colours; labels count up."""
    planes = np.array(colours, np.uint8)[:, :, None]
    data = np.broadcast_to(planes, (len(colours), 3, 1024)).reshape(-1, 3072)
    path.parent.mkdir(parents=True, exist_ok=True)
    labels = list(range(len(colours)))
    path.write_bytes(pickle.dumps({'data': data, key: labels}))


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The bytes of an image file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png16(levels: Array) -> bytes:
    """A 16-bit PNG of [h, w] or [h, w, 3 or 4] (RGB order) levels."""
    if levels.ndim == 3:
        order = [2, 1, 0, 3][: levels.shape[2]]
        levels = levels[..., order]
    return bytes(cv2.imencode('.png', levels.astype(np.uint16))[1])


def tiff16(levels: Array) -> bytes:
    """A 16-bit grey or RGB TIFF."""
    if levels.ndim == 3:
        levels = levels[..., ::-1]
    return bytes(cv2.imencode('.tif', levels.astype(np.uint16))[1])


def plain_tiff(
    levels: Array,
    *,
    planar: bool = False,
    white_is_zero: bool = False,
    other_channels: int | None = None,
    compression: int = 1,
) -> bytes:
    """A TIFF of integer levels ``[h, w]`` or ``[h, w, c]``, not compressed.

    ``planar`` channels lie one after another; ``other_channels`` is what it
    says of the fourth (0: nothing, 2: opacity). With another number for the
    ``compression`` no reader knows what is in it.
    """
    pixels = np.atleast_3d(levels).astype(levels.dtype.newbyteorder('<'))
    height, width, channels = pixels.shape
    planes = [*np.moveaxis(pixels, 2, 0)] if planar else [pixels]
    parts = [plane.tobytes() for plane in planes]
    grey = 0 if white_is_zero else 1
    tags = {
        256: [width],
        257: [height],
        258: [8 * levels.itemsize] * channels,
        259: [compression],
        262: [2 if channels > 2 else grey],
        273: [8 + sum(map(len, parts[:n])) for n in range(len(parts))],
        277: [channels],
        278: [height],
        279: [*map(len, parts)],
        284: [2 if planar else 1],
        338: [] if other_channels is None else [other_channels],
        339: [2 if levels.dtype.kind == 'i' else 1] * channels,
    }
    tags = {tag: values for tag, values in tags.items() if values}
    start = 8 + sum(map(len, parts))
    behind = start + 2 + 12 * len(tags) + 4
    entries, longer = struct.pack('<H', len(tags)), b''
    for tag, values in tags.items():
        content = struct.pack(f'<{len(values)}I', *values)
        if len(values) > 1:
            place = behind + len(longer)
            longer, content = longer + content, struct.pack('<I', place)
        entries += struct.pack('<HHI', tag, 4, len(values)) + content
    head = b'II*\0' + struct.pack('<I', start)
    return head + b''.join(parts) + entries + bytes(4) + longer


def exif(orientation: int) -> Image.Exif:
    """EXIF data with this orientation."""
    data = Image.Exif()
    data[0x0112] = orientation
    return data
