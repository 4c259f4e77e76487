"""Masks that no segmentor can use are listed before anything starts."""

import os

import numpy as np
import pytest
from PIL import Image

from sce_mm.datasets.labels.mask_labels import MaskFolders, read_masks

CLASSES = ['sky', 'sea', 'ship']


def save(path, values, mode=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.asarray(values))
    (image.convert(mode) if mode else image).save(path, **options)


@pytest.fixture
def folders(tmp_path):
    """Two images of 6 x 4, one of them in a sub-folder, and their masks."""
    found = MaskFolders(tmp_path / 'images', tmp_path / 'masks')
    mask = np.repeat(np.arange(4, dtype=np.uint8)[:, None], 6, axis=1)
    mask[3] = 255
    for name in ('a', 'far/b'):
        image = np.zeros((4, 6, 3), np.uint8)
        save(found.images / f'{name}.jpg', image)
        save(found.masks / f'{name}.png', mask)
    # A Mac's note on a file.
    (found.images / '._a.jpg').write_bytes(b'\0')
    return found


def test_pixels_are_those_of_the_classes(folders):
    pixels, problems = read_masks(folders, CLASSES)
    assert not problems
    assert {k: v.tolist() for k, v in pixels.items()} == {
        'a': [6, 6, 6],
        'far/b': [6, 6, 6],
    }
    reduced = folders._replace(reduce_zero_label=True)
    pixels, problems = read_masks(reduced, CLASSES[1:])
    assert not problems
    assert pixels['a'].tolist() == [6, 6]


GOOD = np.arange(24, dtype=np.uint8).reshape(4, 6) % 3
# A mask, and what its line must name.
WRONG = [
    (GOOD.T, ['4 x 6', '6 x 4']),
    (GOOD + 1, ['0 to 2', 'reduce_zero_label=True', ': 3']),
    (GOOD * 100, ['0 to 2 for the 3 classes or 255', ': 100, 200']),
    (GOOD.astype(np.uint16) * 256, [': 256, 512']),
    (np.dstack([GOOD] * 3), ['one channel', 'RGB']),
    (None, ['a mask for each image', 'missing']),
]


@pytest.mark.parametrize(('mask', 'named'), WRONG)
def test_a_wrong_mask_is_named_with_its_value(folders, mask, named):
    path = folders.masks / 'far' / 'b.png'
    path.unlink()
    if mask is not None:
        save(path, mask)
    (problem,) = read_masks(folders, CLASSES)[1]
    assert '1 of 2 differ, first far/b.png' in problem
    assert all(word in problem for word in named), problem


def test_palettes_and_bits_are_numbers(folders):
    save(folders.masks / 'a.png', GOOD, 'P')
    save(folders.masks / 'far' / 'b.png', GOOD > 0)
    pixels, problems = read_masks(folders, CLASSES)
    assert not problems
    assert pixels['a'].tolist() == [8, 8, 8]
    assert pixels['far/b'].tolist() == [8, 16, 0]


def test_images_are_as_their_exif_tag_turns_them(folders):
    exif = Image.Exif()
    exif[274] = 6
    image = np.zeros((6, 4, 3), np.uint8)
    save(folders.images / 'a.jpg', image, exif=exif)
    assert not read_masks(folders, CLASSES)[1]


def test_problems_of_all_masks_together(folders):
    for name in ('a', 'far/b'):
        mask = np.where(GOOD > 0, 255, 0).astype(np.uint8)
        save(folders.masks / f'{name}.png', mask)
    (problem,) = read_masks(folders, CLASSES)[1]
    assert 'two classes' in problem
    assert 'is sky' in problem
    (problem,) = read_masks(folders._replace(img_suffix='.tif'), CLASSES)[1]
    assert '*.tif' in problem


def test_what_did_not_change_is_not_read_again(folders):
    seen = {}
    assert not read_masks(folders, CLASSES, seen=seen)[1]
    save(folders.masks / 'a.png', GOOD)
    # Damaged in secret.
    path = folders.images / 'far' / 'b.jpg'
    before = path.stat()
    path.write_bytes(bytes(before.st_size))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    pixels, problems = read_masks(folders, CLASSES, seen=seen)
    assert not problems
    assert pixels['a'].tolist() == [8, 8, 8]
    assert pixels['far/b'].tolist() == [6, 6, 6]
    os.utime(path)
    assert 'far/b.png' in read_masks(folders, CLASSES, seen=seen)[1][0]
