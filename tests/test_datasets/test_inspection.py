"""What is said of image files is what they are."""

import io

import numpy as np
import pytest
from image_files import encode, exif, photo, png16
from PIL import Image

from sce_mm.datasets.images import inspection
from sce_mm.datasets.images.inspection import inspect_images

RGB = np.asarray(photo())
GREY = np.asarray(photo().convert('L'))
FILES = {
    'colour.jpg': (encode(photo(), 'JPEG'), ()),
    # Saved in three channels, and compressed.
    'grey.jpg': (
        encode(photo().convert('L').convert('RGB'), 'JPEG'),
        (inspection.GREY,),
    ),
    'deep.png': (
        png16(GREY.astype(int) * 257),
        (inspection.GREY, inspection.DEEP),
    ),
    'deep_colour.png': (png16(RGB.astype(int) * 257), (inspection.DEEP,)),
    'dark.png': (
        png16(GREY.astype(int) * 16),
        (inspection.GREY, inspection.DEEP, inspection.FLAT),
    ),
    'press.jpg': (
        encode(photo().convert('CMYK'), 'JPEG'),
        (inspection.CMYK,),
    ),
    'palette.png': (
        encode(photo().quantize(64), 'PNG'),
        (inspection.PALETTE,),
    ),
    'alpha.webp': (
        encode(
            Image.fromarray(np.dstack([RGB, GREY])), 'WEBP', lossless=True
        ),
        (inspection.ALPHA,),
    ),
    'film.gif': (
        encode(
            photo().quantize(64), 'GIF', save_all=True,
            append_images=[photo().rotate(9).quantize(64)],
        ),
        (inspection.PALETTE, inspection.FRAMES),
    ),
    'turned.jpg': (
        encode(photo(), 'JPEG', exif=exif(6)),
        (inspection.TURNED,),
    ),
    'upright.jpg': (encode(photo(), 'JPEG', exif=exif(1)), ()),
}  # fmt: skip


@pytest.mark.parametrize('workers', [1, 2])
def test_kinds_and_sizes(tmp_path, workers):
    for name, (content, _) in FILES.items():
        (tmp_path / name).write_bytes(content)
    paths = [str(tmp_path / name) for name in FILES]
    found = list(inspect_images(paths, workers))
    assert [facts.path for facts in found] == paths
    for facts, (name, (content, kinds)) in zip(
        found, FILES.items(), strict=True
    ):
        assert facts.kinds == kinds, name
        size = (81, 61) if name == 'turned.jpg' else (61, 81)
        assert (facts.height, facts.width) == size, name
        assert facts.file_bytes == len(content)
        assert not facts.problem


def test_what_cannot_be_read_has_its_reason(tmp_path):
    cut = io.BytesIO(encode(photo(), 'JPEG')).getvalue()[:-200]
    (tmp_path / 'cut.jpg').write_bytes(cut)
    (tmp_path / 'empty.png').write_bytes(b'')
    paths = [str(tmp_path / n) for n in ('cut.jpg', 'empty.png', 'none.png')]
    for facts in inspect_images(paths):
        assert (facts.height, facts.width, facts.kinds) == (0, 0, ())
        assert facts.problem
        assert facts.print.thumbnail is None
