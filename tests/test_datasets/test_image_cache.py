"""The cache of images: its pixels, its refusals, and who may share it."""

import multiprocessing
import os
import pickle
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from converters import run
from image_files import encode, exif, photo, png16
from mmpretrain.registry import DATASETS

from sce_mm.datasets import (
    CutRegion,
    ImageCache,
    LoadCachedImage,
    LoadImage,
    SampleIndex,
    StaleCacheError,
    UnreadableImageError,
    build_cache,
)
from sce_mm.datasets.images import file_lists, image_cache, parallel
from sce_mm.utils.errors import UserError

ODD_NAME = b'odd\xff.png'


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Six images of several kinds and one file that is none."""
    folder = tmp_path / 'source'
    (folder / 'sub').mkdir(parents=True)
    (folder / 'a.jpg').write_bytes(encode(photo(), 'JPEG'))
    turned = encode(photo(), 'JPEG', exif=exif(6))
    (folder / 'b.jpg').write_bytes(turned)
    (folder / 'a').mkdir()
    (folder / 'a' / 'c.png').write_bytes(encode(photo(), 'PNG'))
    wide = photo().resize((400, 100))
    (folder / 'sub' / 'wide.png').write_bytes(encode(wide, 'PNG'))
    grey = photo().convert('L')
    (folder / 'sub' / 'grey.png').write_bytes(encode(grey, 'PNG'))
    odd = os.fsencode(folder) + b'/' + ODD_NAME
    with open(odd, 'wb') as file:
        file.write(encode(photo().rotate(90), 'PNG'))
    (folder / 'bad.jpg').write_bytes(b'no image')
    return folder


@pytest.fixture
def cache(source: Path, tmp_path: Path) -> Path:
    folder = tmp_path / 'cache'
    assert build_cache(str(source), folder, short_side=90) == 1
    return folder


def dataset(source: Path, load: dict[str, Any]) -> Any:
    views = [dict(augmentation='strong_alpha', size=32)] * 2
    pipeline = [load, dict(type='SCEViews', views=views)]
    return DATASETS.build(
        dict(
            type='UnlabelledImages',
            data_root=str(source),
            pipeline=pipeline,
        )
    )


def test_what_is_not_larger_gives_the_same_views(
    source: Path, cache: Path
) -> None:
    """Bit for bit, broken files and their replacements too."""
    (source / 'sub' / 'wide.png').unlink()
    direct = dataset(source, dict(type='LoadImage'))
    load = dict(type='LoadCachedImage', cache=str(cache), check_source=False)
    cached = dataset(source, load)
    for index in range(len(direct)):
        ours, theirs = (
            each[SampleIndex(index, 3, 5)] for each in (cached, direct)
        )
        assert ours['img_path'] == theirs['img_path']
        assert ours['ori_shape'] == theirs['ori_shape']
        for a, b in zip(ours['img'], theirs['img'], strict=True):
            np.testing.assert_array_equal(a, b)


def test_larger_images_are_shrunk_and_close_to_the_source(
    source: Path, cache: Path
) -> None:
    path = str(source / 'sub' / 'wide.png')
    small = LoadCachedImage(str(cache))({'img_path': path})
    full = LoadImage()({'img_path': path})
    assert small['img'].shape == (90, 360, 3)
    assert small['img_shape'] == (90, 360)
    same_size = cv2.resize(full['img'], (360, 90)).astype(int)
    # Another image is tens of levels away.
    assert 0 < np.abs(same_size - small['img']).mean() < 5


def test_a_reader_gets_a_copy_and_pickles(source: Path, cache: Path) -> None:
    reader = ImageCache(cache)
    path = str(source / 'a.jpg')
    pixels = reader.read(path)
    before = pixels.copy()
    pixels[:] = 0
    pickled = pickle.dumps(reader)
    assert len(pickled) < 1000
    np.testing.assert_array_equal(pickle.loads(pickled).read(path), before)


def test_what_is_not_in_it(source: Path, cache: Path) -> None:
    reader = ImageCache(cache)
    with pytest.raises(UnreadableImageError, match='when the cache was'):
        reader.read(str(source / 'bad.jpg'))
    for name in ('zzz.jpg', 'aa.jpg', '../other.jpg'):
        with pytest.raises(ValueError, match=r'not in the cache .*the folder'):
            reader.read(str(source / name))


def test_a_stale_cache_is_refused(source: Path, cache: Path) -> None:
    path = source / 'a.jpg'
    data, status = path.read_bytes(), path.stat()
    os.utime(path, (status.st_atime, status.st_mtime + 5))
    with pytest.raises(StaleCacheError, match=r'1 files have.*a\.jpg.*Build'):
        ImageCache(cache)
    path.write_bytes(data + b'x')
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(StaleCacheError, match='1 files have another size'):
        LoadCachedImage(str(cache))
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    ImageCache(cache)
    (source / 'new.jpg').write_bytes(data)
    path.unlink()
    with pytest.raises(StaleCacheError, match=r"1 images of .* 1 of it.*'new"):
        ImageCache(cache)
    assert len(ImageCache(cache, check_source=False)) == 7


def test_a_source_may_have_moved(source: Path, cache: Path) -> None:
    moved = source.rename(source.with_name('moved'))
    with pytest.raises(FileNotFoundError, match='no folder'):
        ImageCache(cache)
    reader = ImageCache(cache, source=str(moved))
    assert reader.read(str(moved / 'a.jpg')).shape == (61, 81, 3)


def test_a_damaged_cache_is_refused(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r'no cache .*sce cache'):
        ImageCache(tmp_path / 'none')
    with (cache / 'pixels.bin').open('r+b') as file:
        file.truncate(100)
    with pytest.raises(StaleCacheError, match=r'is damaged.*build it again'):
        ImageCache(cache)
    metadata = (cache / 'cache.json').read_text()
    text = metadata.replace('"format": 1', '"format": 9')
    (cache / 'cache.json').write_text(text)
    with pytest.raises(StaleCacheError, match='has format 9'):
        ImageCache(cache)


def test_it_is_built_in_full_or_not_at_all(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / 'out'

    def full(*_: object) -> None:
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(np, 'save', full)
    with pytest.raises(OSError, match='No space left'):
        build_cache(str(source), out, 90)
    assert [x.name for x in tmp_path.iterdir()] == ['source']
    with pytest.raises(ValueError, match='short_side must be an integer >='):
        build_cache(str(source), out, 0)
    with pytest.raises(FileExistsError, match='exists: remove it'):
        build_cache(str(source), source, 90)


def test_no_cache_is_made_of_images_that_cannot_be_read(
    tmp_path: Path,
) -> None:
    (tmp_path / 'source').mkdir()
    (tmp_path / 'source' / 'a.jpg').write_bytes(b'no image')
    with pytest.raises(UserError, match='none of 1 images'):
        build_cache(str(tmp_path / 'source'), tmp_path / 'out', 90)
    assert [x.name for x in tmp_path.iterdir()] == ['source']


def _touch(path: str) -> None:
    Path(path).touch()
    time.sleep(0.02)


def test_who_stops_waits_neither_for_images_nor_for_processes(
    tmp_path: Path,
) -> None:
    paths = [str(tmp_path / f'{n}') for n in range(400)]
    with closing(parallel.map_images(_touch, paths, 2, 'x')) as images:
        next(images)
    assert not multiprocessing.active_children()
    assert len(list(tmp_path.iterdir())) < 400


def test_a_cache_made_with_another_stretch_is_refused(tmp_path: Path) -> None:
    source = tmp_path / 'source'
    source.mkdir()
    levels = np.arange(72).reshape(8, 9) * 57
    (source / 'a.png').write_bytes(png16(levels))
    given = {'img_path': str(source / 'a.png')}
    for stretch, other in (((0, 4095), (0, 4096)), (None, (0, 65535))):
        folder = tmp_path / str(stretch)
        build_cache(str(source), folder, 90, stretch=stretch)
        cached = LoadCachedImage(str(folder), stretch=stretch)(given)
        direct = LoadImage(stretch=stretch)(given)
        np.testing.assert_array_equal(cached['img'], direct['img'])
        with pytest.raises(StaleCacheError, match=r'stretch=.*stretch='):
            LoadCachedImage(str(folder), stretch=other)
    # One of an earlier version does not tell.
    metadata = folder / 'cache.json'
    metadata.write_text(metadata.read_text().replace('"stretch": null,', ''))
    LoadCachedImage(str(folder))


def test_a_cache_of_full_size_gives_the_regions_of_the_source(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit for bit, of mapped images as of copied ones."""
    folder = tmp_path / 'full'
    build_cache(str(source), folder, None, workers=2)
    cut = CutRegion(size=(16, 40))
    for mapped in (0, 1 << 22):
        monkeypatch.setattr(image_cache, '_MAPPED_BYTES', mapped)
        cached = LoadCachedImage(str(folder))
        for name in ('a.jpg', 'b.jpg', 'sub/wide.png', 'sub/grey.png'):
            for repetition in range(4):
                index = SampleIndex(1, 2, 3, repetition=repetition)
                given = dict(img_path=str(source / name), sample_idx=index)
                ours, theirs = cut(cached(given)), cut(LoadImage()(given))
                assert ours['region'] == theirs['region']
                np.testing.assert_array_equal(ours['img'], theirs['img'])


def test_a_cache_of_a_list_knows_no_other_images(
    source: Path, tmp_path: Path
) -> None:
    folder, listed = tmp_path / 'listed', source / 'sub' / 'grey.png'
    paths = [str(listed), str(source / 'a.jpg')]
    build_cache(str(source), folder, None, paths=paths)
    (source / 'new.jpg').write_bytes(b'')
    reader = ImageCache(folder)
    assert len(reader) == 2
    other = str(source / 'b.jpg')
    assert reader.missing([*paths, other]) == [other]
    listed.unlink()
    with pytest.raises(StaleCacheError, match=r"1 of it.*'sub/grey\.png'"):
        ImageCache(folder)


def test_what_is_gone_when_its_turn_comes_is_an_unreadable_image(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(file_lists, 'warn', lines.append)
    paths = [str(source / 'a.jpg'), str(source / 'gone.jpg')]
    assert build_cache(str(source), tmp_path / 'c', None, paths=paths) == 1
    assert 'gone.jpg (No such file or directory)' in lines[0]
    for load in (LoadCachedImage(str(tmp_path / 'c')), LoadImage()):
        assert load({'img_path': paths[0]}) is not None
        assert load({'img_path': paths[1]}) is None
    (source / 'gone.jpg').write_bytes((source / 'a.jpg').read_bytes())
    with pytest.raises(StaleCacheError, match=r'gone\.jpg'):
        ImageCache(tmp_path / 'c')


def test_no_more_processes_are_started_than_there_are_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []

    def pool(workers: int, **options: Any) -> Any:
        started.append(workers)
        return ProcessPoolExecutor(workers, **options)

    monkeypatch.setattr(parallel, 'ProcessPoolExecutor', pool)
    paths = [str(tmp_path / 'a'), str(tmp_path / 'b')]
    assert len([*parallel.map_images(_touch, paths, 99, 'x')]) == 2
    assert started == [2]


def test_what_is_written_to_a_mapped_image_stays_there(
    source: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_cache, '_MAPPED_BYTES', 0)
    before = (cache / 'pixels.bin').read_bytes()
    reader = ImageCache(cache)
    path = str(source / 'a.jpg')
    pixels = reader.read(path)
    expected = pixels.copy()
    pixels[:] = 0
    assert (cache / 'pixels.bin').read_bytes() == before
    np.testing.assert_array_equal(reader.read(path), expected)


def test_larger_images_need_a_permission(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(file_lists, 'warn', lines.append)
    # One at a time, too.
    monkeypatch.setattr(parallel, '_LARGE_PIXELS', 1000)
    arguments = (str(source), tmp_path / 'few', None, 2, None, 39999)
    assert build_cache(*arguments) == 2
    (line,) = (line for line in lines if 'wide' in line)
    assert '400 x 100 pixels' in line
    assert '--max-pixels 40000' in line
    arguments = (str(source), tmp_path / 'more', None, 2, None, 40000)
    assert build_cache(*arguments) == 1
    with pytest.raises(ValueError, match='max_pixels must be an integer in'):
        build_cache(str(source), tmp_path / 'out', None, max_pixels=1 << 31)


def test_the_command_tells_what_it_made(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(file_lists, 'warn', lines.append)
    out = source.with_name('out')
    (source / 'notes.md').touch()
    options = ['--short-side', 50, '--workers', 2]
    printed = run('cache_images', source, out, *options)
    assert '7 images, of which 1 could not be read, 0.1 MB' in printed
    # Once, and what cannot be read.
    assert ['left out below' in line for line in lines] == [True, False]
    pixels = ImageCache(out).read(str(source / 'a.jpg'))
    assert pixels.shape == (50, 66, 3)
