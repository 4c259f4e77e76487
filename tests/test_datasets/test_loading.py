"""LoadImage: what it adds, and what it says of a broken file."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from image_files import encode, photo, png16
from mmpretrain.registry import TRANSFORMS

from sce_mm.datasets import LoadImage, SampleIndex

Warnings = list[str]
NOT_UTF8 = (b'good\xff.png', b'bad\xff.png')


@pytest.fixture
def warned(monkeypatch: pytest.MonkeyPatch) -> Warnings:
    """What is logged."""
    lines: Warnings = []
    monkeypatch.setattr('sce_mm.datasets.images.loading.warn', lines.append)
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


def huge(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 31)  # takes no room on the disk


def link_to_a_pipe(path: Path) -> None:
    os.mkfifo(path.parent / 'target')
    path.symlink_to(path.parent / 'target')


@pytest.mark.parametrize(
    ('make', 'reason'),
    [
        (Path.touch, 'the file is empty'),
        (lambda x: x.write_bytes(encode(photo(), 'JPEG')[:900]), 'truncated'),
        (lambda x: None, 'No such file'),
        (Path.mkdir, 'a folder, pipe or device'),
        (link_to_a_pipe, 'a folder, pipe or device'),
        (huge, '2,147,483,648 bytes are more than 1,431,655,760'),
    ],
)
def test_what_cannot_be_read_gives_none_and_one_warning_with_its_path(
    tmp_path: Path, warned: Warnings, make: Callable[[Path], None], reason: str
) -> None:
    """It neither blocks nor fills the memory."""
    path = tmp_path / 'x.jpg'
    make(path)
    load = LoadImage()
    for _ in range(3):
        assert load(dict(img_path=str(path))) is None
    (line,) = warned
    assert str(path) in line
    assert reason in line


def test_training_on_slow_images_names_the_cache_once(
    tmp_path: Path, warned: Warnings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr('sce_mm.datasets.images.loading._SLOW_PIXELS', 4000)
    path = tmp_path / 'a.png'
    path.write_bytes(encode(photo(), 'PNG'))
    load = LoadImage()
    load(dict(img_path=str(path), sample_idx=0))
    assert not warned
    for repetition in range(3):
        load(
            dict(
                img_path=str(path),
                sample_idx=SampleIndex(0, 0, 0, repetition=repetition),
            )
        )
    (line,) = warned
    assert '81 x 61 pixels took' in line
    assert 'sce cache DATA CACHE' in line


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
    'stretch', [(9, 1), (1, 2, 3), 4095, 'all', (0, float('nan'))]
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
