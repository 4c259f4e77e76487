import cv2
import numpy as np
import pytest
from skimage import data

from sce_mm.datasets.images import near_duplicates
from sce_mm.datasets.images.near_duplicates import (
    Fingerprint,
    find_copies,
    fingerprint,
    group_copies,
)

PHOTOS = ('astronaut', 'chelsea', 'coffee', 'rocket')


@pytest.fixture(scope='module')
def photos(tmp_path_factory):
    """Paths of four photographs as PNG files."""
    folder = tmp_path_factory.mktemp('photos')
    paths = []
    for name in PHOTOS:
        path = folder / f'{name}.png'
        cv2.imwrite(str(path), getattr(data, name)()[..., ::-1])
        paths.append(str(path))
    return paths


def written(path, image, quality=95):
    cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return str(path)


@pytest.mark.parametrize(
    'change',
    [
        lambda x: x[:, ::-1],
        lambda x: cv2.resize(x, None, fx=0.5, fy=0.5),
        lambda x: cv2.cvtColor(x, cv2.COLOR_BGR2GRAY),
        lambda x: np.clip(x * 1.2, 0, 255).astype(np.uint8),
    ],
    ids=['mirrored', 'halved', 'grey', 'brighter'],
)
def test_changed_copies_are_found(photos, tmp_path, change):
    for index, path in enumerate(photos):
        copy = written(tmp_path / 'copy.jpg', change(cv2.imread(path)), 60)
        expected = [(photos[index], copy)]
        assert find_copies(photos, [copy]) == expected
        assert find_copies(photos, [copy], workers=2) == expected


def test_other_photographs_are_no_copies(photos):
    assert find_copies([], photos) == find_copies(photos, []) == []
    for path in photos:
        assert not find_copies([p for p in photos if p != path], [path])


def test_flat_and_broken_images_count_by_their_content_alone(tmp_path):
    grey = written(tmp_path / 'grey.png', np.full((40, 40, 3), 90, np.uint8))
    white = written(
        tmp_path / 'white.png', np.full((40, 40, 3), 255, np.uint8)
    )
    broken = tmp_path / 'broken.jpg'
    broken.write_bytes(b'\xff\xd8\xff nothing')
    assert fingerprint(grey).thumbnail is None
    assert fingerprint(broken).thumbnail is None
    assert not find_copies([grey, str(broken)], [white])
    # The same file is a copy whatever it shows.
    found = find_copies([grey, str(broken)], [white, str(broken)])
    assert found == [(str(broken), str(broken))]


@pytest.mark.parametrize('block', [2, 4096])
def test_copies_within_a_folder_are_grouped(
    photos, tmp_path, monkeypatch, block
):
    monkeypatch.setattr(near_duplicates, '_BLOCK', block)
    half, mirrored = (
        written(tmp_path / f'{number}.jpg', image, 80)
        for number, image in enumerate(
            [
                cv2.resize(cv2.imread(photos[1]), None, fx=0.5, fy=0.5),
                cv2.imread(photos[1])[:, ::-1],
            ]
        )
    )
    broken = tmp_path / 'broken.jpg'
    broken.write_bytes(b'\xff\xd8\xff nothing')
    paths = [half, photos[0], str(broken), *photos, mirrored, str(broken)]
    # By index: half and mirrored of the second photo, the first one twice.
    assert group_copies([fingerprint(path) for path in paths]) == [
        [0, 4, 7],
        [1, 3],
        [2, 8],
    ]
    assert group_copies([]) == []


def test_few_copies_among_many_images_are_grouped():
    rng = np.random.default_rng(0)
    thumbnails = list(rng.integers(0, 256, (200, 16, 17), dtype=np.uint8))
    # As it is and mirrored, with another brightness; and equal signs without
    # correlation: all rows climb, from other heights.
    thumbnails[150] = thumbnails[20] // 2
    thumbnails[199] = thumbnails[3][:, ::-1] // 2 + 60
    climbing = np.arange(17, dtype=np.uint8)[None].repeat(16, axis=0)
    heights = rng.integers(0, 200, (2, 16, 1), dtype=np.uint8)
    thumbnails[70:72] = climbing + heights
    prints = [Fingerprint(str(n), x) for n, x in enumerate(thumbnails)]
    assert group_copies(prints) == [[3, 199], [20, 150]]


def test_few_bright_spots_on_black_are_no_copies(tmp_path):
    random = np.random.default_rng(0)
    paths = []
    for number in range(30):
        image = np.zeros((128, 128, 3), np.uint8)
        for x, y in random.integers(8, 120, (3, 2)).tolist():
            cv2.circle(image, (x, y), 6, (200, 200, 200), -1)
        paths.append(written(tmp_path / f'{number}.png', image))
    prints = [fingerprint(path) for path in paths]
    assert group_copies(prints) == []
    assert find_copies(paths[:15], paths[15:]) == []
