"""LoadImage: what it adds, and what it says of a broken file."""

import pickle
from pathlib import Path

import pytest
from image_files import encode, exif, photo
from mmpretrain.registry import TRANSFORMS

from sce_mm.datasets import LoadImage
from sce_mm.datasets.loading import ReportedFiles

Warnings = list[str]


@pytest.fixture
def warned(monkeypatch: pytest.MonkeyPatch) -> Warnings:
    """What is logged."""
    lines: Warnings = []
    monkeypatch.setattr(
        'sce_mm.datasets.loading.print_log',
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


def test_the_exif_orientation_may_be_left_alone(tmp_path: Path) -> None:
    path = tmp_path / 'a.jpg'
    path.write_bytes(encode(photo(), 'JPEG', exif=exif(6)))
    shapes = [
        LoadImage(apply_orientation=apply)(dict(img_path=str(path)))[
            'img_shape'
        ]
        for apply in (True, False)
    ]
    assert shapes == [(81, 61), (61, 81)]


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


def test_reports_are_shared_by_copies_in_other_processes() -> None:
    reported = ReportedFiles()
    assert reported.is_new('a')
    assert reported.is_new('b')
    assert not reported.is_new('a')
    assert reported._digests.is_shared()


def test_a_full_memory_reports_rather_than_hides() -> None:
    reported = ReportedFiles(capacity=1)
    assert reported.is_new('a')
    assert reported.is_new('b')
    assert reported.is_new('b')
    assert not reported.is_new('a')


def test_it_pickles_and_shows_its_arguments() -> None:
    load = pickle.loads(pickle.dumps(LoadImage(apply_orientation=False)))
    assert repr(load) == (
        'LoadImage(apply_orientation=False, backend_args=None)'
    )
