"""LoadImage: what it adds, and what it says of a broken file."""

import os
from pathlib import Path

import numpy as np
import pytest
from image_files import encode, photo, png16
from mmpretrain.registry import TRANSFORMS

from sce_mm.datasets import LoadImage
from sce_mm.datasets.images.loading import ReportedFiles

Warnings = list[str]
NOT_UTF8 = (b'good\xff.png', b'bad\xff.png')


@pytest.fixture
def warned(monkeypatch: pytest.MonkeyPatch) -> Warnings:
    """What is logged."""
    lines: Warnings = []
    monkeypatch.setattr(
        'sce_mm.datasets.images.loading.print_log',
        lambda message, **_: lines.append(message),
    )
    return lines


def test_it_adds_the_image_and_its_shape(tmp_path: Path) -> None:
    path = tmp_path / 'a.png'
    path.write_bytes(encode(photo(), 'PNG'))
    given = dict(img_path=str(path), sample_idx=3)
    results = TRANSFORMS.build(dict(type='LoadImage'))(given)
    assert results['img'].shape == (61, 81, 3)
    assert results['img_shape'] == results['ori_shape'] == (61, 81)
    assert results['sample_idx'] == 3
    assert set(given) == {'img_path', 'sample_idx'}


@pytest.mark.parametrize(
    ('name', 'data', 'reason'),
    [
        ('empty.png', b'', 'the file is empty'),
        ('text.jpg', b'hello world', 'not an image'),
        ('cut.jpg', encode(photo(), 'JPEG')[:900], 'truncated'),
        ('gone.jpg', None, 'No such file'),
    ],
)
def test_a_broken_file_gives_none_and_one_warning_with_its_path(
    tmp_path: Path,
    warned: Warnings,
    name: str,
    data: bytes | None,
    reason: str,
) -> None:
    path = tmp_path / name
    if data is not None:
        path.write_bytes(data)
    load = LoadImage()
    for _ in range(3):
        assert load(dict(img_path=str(path))) is None
    assert len(warned) == 1
    assert str(path) in warned[0]
    assert reason in warned[0]


@pytest.mark.parametrize(
    ('kind', 'reason'),
    [
        ('folder', 'a folder, pipe or device'),
        ('pipe', 'a folder, pipe or device'),
        ('link to a pipe', 'a folder, pipe or device'),
        ('dangling link', 'No such file'),
        ('huge', r'2,147,483,648 bytes are more than 1,073,741,824'),
        ('forbidden', 'Permission denied'),
    ],
)
def test_what_cannot_be_read_neither_blocks_nor_fills_the_memory(
    tmp_path: Path,
    warned: Warnings,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    reason: str,
) -> None:
    path = tmp_path / 'x.jpg'
    if kind == 'folder':
        path.mkdir()
    elif kind == 'pipe':
        os.mkfifo(path)
    elif kind == 'huge':
        path.touch()
        os.truncate(path, 1 << 31)  # takes no room on the disk
    elif kind == 'forbidden':
        path.write_bytes(encode(photo(), 'PNG'))
        # Root may read anything: the refusal is put in its place.
        error = PermissionError(13, 'Permission denied', str(path))
        monkeypatch.setattr(
            'sce_mm.datasets.images.loading.fileio.get',
            lambda *_, **__: (_ for _ in ()).throw(error),
        )
    else:
        if kind == 'link to a pipe':
            os.mkfifo(tmp_path / 'target')
        path.symlink_to(tmp_path / 'target')
    assert LoadImage()(dict(img_path=str(path))) is None
    (line,) = warned
    assert str(path) in line
    assert reason in line


def test_a_stretch_is_that_of_all_images(tmp_path: Path) -> None:
    """The same level is as bright in a dark image as in a light one."""
    load = TRANSFORMS.build(dict(type='LoadImage', stretch=[1000, 2020]))
    for name, others in (('dark', 1000), ('light', 2020)):
        levels = np.full((8, 9), others)
        levels[0, 0] = 1400
        path = tmp_path / f'{name}.png'
        path.write_bytes(png16(levels))
        image = load(dict(img_path=str(path)))['img']
        assert image[0, 0].tolist() == [100] * 3
        assert image[1, 1].tolist() == [0 if name == 'dark' else 255] * 3


@pytest.mark.parametrize(
    'stretch',
    [(0, 0), (9, 1), (1,), (1, 2, 3), 4095, 'all', (0, float('nan'))],
)
def test_a_stretch_that_is_no_range_is_refused_at_once(
    stretch: object,
) -> None:
    with pytest.raises(ValueError, match=r'stretch must be .*\(low, high\)'):
        LoadImage(stretch=stretch)  # type: ignore[arg-type]


def test_names_that_are_not_utf8_are_read_and_reported(
    tmp_path: Path, warned: Warnings
) -> None:
    good, bad = (os.path.join(os.fsencode(tmp_path), b) for b in NOT_UTF8)
    Path(os.fsdecode(good)).write_bytes(encode(photo(), 'PNG'))
    Path(os.fsdecode(bad)).write_bytes(b'no image')
    load = LoadImage()
    assert load(dict(img_path=os.fsdecode(good)))['img'].shape == (61, 81, 3)
    assert load(dict(img_path=os.fsdecode(bad))) is None
    # What is said can be written to a log.
    assert 'bad\\udcff.png' in warned[0].encode('utf-8').decode()


def test_reports_are_shared_by_copies_in_other_processes() -> None:
    reported = ReportedFiles()
    assert reported.is_new('a')
    assert reported.is_new('b')
    assert not reported.is_new('a')
    assert reported._digests.is_shared()
