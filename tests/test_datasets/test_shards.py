"""Images in tar files: what is read, what is refused, what is written."""

import io
import os
import shutil
import tarfile
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_files import encode, photo, write_noise

from sce_mm.cli.commands import shards as command
from sce_mm.datasets import ImageCache, UnlabelledImages, build_cache
from sce_mm.datasets.images import shard_writing
from sce_mm.datasets.images.file_lists import (
    find_images,
    read_image_list,
    write_image_list,
)
from sce_mm.datasets.images.image_sizes import image_sizes
from sce_mm.datasets.images.inspection import inspect_images
from sce_mm.datasets.images.loading import LoadImage
from sce_mm.datasets.images.shard_writing import pack_shards
from sce_mm.datasets.images.shards import read_file, shard_index
from sce_mm.evaluation.images import classes_of
from sce_mm.utils.durable_files import WriteError
from sce_mm.utils.errors import UserError

IMAGE = encode(photo(), 'JPEG')
LONG = 'folder/' * 40 + 'long.jpg'


@pytest.fixture
def warned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said: list[str] = []
    for module in ('file_lists', 'shards'):
        where = f'sce_mm.datasets.images.{module}.warn'
        monkeypatch.setattr(where, said.append)
    return said


def write_tar(
    path: Path, files: dict[str, bytes], kind: int = tarfile.PAX_FORMAT
) -> Path:
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, 'w', format=kind) as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return path


def names(root: Path, found: list[str]) -> list[str]:
    return [os.path.relpath(path, root) for path in found]


@pytest.mark.parametrize(
    'kind', [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT], ids=['pax', 'gnu']
)
def test_images_are_found_in_tars_of_any_program(
    tmp_path: Path, warned: list[str], kind: int
) -> None:
    """Tars of webdataset hold labels too, those of macOS hidden files."""
    shards = tmp_path / 'shards'
    first = {'b.jpg': b'1', 'b.cls': b'0', 'a.JPG': IMAGE, './._a.jpg': b'x'}
    second = {LONG: b'23', 'ä\udcff.png': b'4', 'a.JPG': b'5'}
    write_tar(shards / '1.tar', second, kind)
    write_tar(shards / '0.tar', first, kind)
    (shards / 'sizes.json').write_text('{}')
    found = find_images([str(shards)])
    assert names(shards, found) == [
        *('0.tar/b.jpg', '0.tar/a.JPG'),
        *(f'1.tar/{LONG}', '1.tar/ä\udcff.png', '1.tar/a.JPG'),
    ]
    contents = list(map(read_file, found))
    assert contents == [b'1', IMAGE, b'23', b'4', b'5']
    assert len(warned) == 1
    assert '1 .cls' in warned[0]
    # Named themselves, whatever lies beside them; and each of them once.
    (shards / 'c.jpg').write_bytes(b'6')
    tars = [str(shards / f'{n}.tar') for n in (1, 0, 1)]
    assert find_images(tars) == found[2:] + found[:2]
    assert names(shards, find_images([str(shards)])) == ['c.jpg']
    assert '2 .tar' in warned[-1]
    (shards / 'c.jpg').unlink()
    assert find_images([str(shards), f'{shards}/']) == found


def test_each_file_of_a_tar_is_taken_once(
    tmp_path: Path, warned: list[str]
) -> None:
    shard = tmp_path / 'a.tar'
    with tarfile.open(shard, 'w') as tar:
        for name, data in [('a.jpg', b'old'), ('b.jpg', b'1')]:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
        for kind in (tarfile.LNKTYPE, tarfile.SYMTYPE):
            entry = tarfile.TarInfo('link.jpg')
            entry.type, entry.linkname = kind, 'b.jpg'
            tar.addfile(entry)
        out = tarfile.TarInfo('../c.jpg')
        tar.addfile(out)
    with tarfile.open(shard, 'a') as tar:
        entry = tarfile.TarInfo('./a.jpg')
        entry.size = 3
        tar.addfile(entry, io.BytesIO(b'new'))
    found = find_images([str(shard)])
    assert names(shard, found) == ['b.jpg', 'a.jpg']
    assert read_file(found[1]) == b'new'
    assert [message.split()[0] for message in warned] == ['3', '1']


def test_a_list_names_tars_or_images_in_them(tmp_path: Path) -> None:
    files = dict.fromkeys(('a.jpg', 'x/b.jpg'), IMAGE)
    write_tar(tmp_path / '0.tar', files)
    write_tar(tmp_path / '1.TAR', files)
    (tmp_path / 'tars.txt').write_text('1.TAR\n0.tar\n')
    found = read_image_list(str(tmp_path / 'tars.txt'), str(tmp_path))
    assert names(tmp_path, found) == [
        *('1.TAR/a.jpg', '1.TAR/x/b.jpg', '0.tar/a.jpg', '0.tar/x/b.jpg'),
    ]
    assert read_file(found[0]) == IMAGE
    assert set(find_images([str(tmp_path)])) == {*found}
    some = tmp_path / 'some.json'
    write_image_list(some, [*found[1:3], str(tmp_path / '0.tar' / 'no.jpg')])
    dataset = UnlabelledImages(
        ann_file=str(some), pipeline=[dict(type='LoadImage')]
    )
    assert [item['img_path'] for item in dataset][:2] == found[1:3]
    (tmp_path / 'both.txt').write_text('1.tar\n0.tar/a.jpg\n')
    with pytest.raises(ValueError, match='names tar files and images'):
        read_image_list(str(tmp_path / 'both.txt'), str(tmp_path))


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda data: data[:12000], 'damaged or cut off'),
        (lambda data: data[:8000], 'does not end at'),
        (lambda data: data.rstrip(b'\0'), 'damaged or cut off'),
        (lambda data: data[:3], 'damaged or cut off'),
        (lambda _: b'', 'damaged or cut off'),
        # A byte of the header of the second image.
        (lambda data: data[:7700] + b'?' + data[7701:], 'does not end at'),
        (lambda data: data + data, 'does not end at'),
        (lambda _: b'\x1f\x8b\x08', 'is compressed'),
    ],
)
def test_tars_that_are_not_whole_are_refused(
    tmp_path: Path, change: Any, message: str
) -> None:
    files = {'1.png': b'1' * 7001, '2.png': b'2' * 7001}
    shard = write_tar(tmp_path / 'shards' / 'a.tar', files)
    whole = shard.read_bytes()
    shard.write_bytes(change(whole))
    with pytest.raises(UserError, match=f'a.tar.*{message}'):
        find_images([str(shard.parent)])
    assert not list(shard.parent.glob('.*'))
    # Repaired, it is read at once.
    shard.write_bytes(whole)
    found = find_images([str(shard.parent)])
    assert list(map(read_file, found)) == list(files.values())


def test_memory_does_not_grow_in_an_epoch(tmp_path: Path) -> None:
    """A name and two numbers a file are all that is kept."""
    files = {f'n01440764_{n:05}.JPEG': bytes(100) for n in range(2000)}
    shard = write_tar(tmp_path / 'a.tar', files)
    index = shard_index(str(shard))
    assert index.names.nbytes + index.places.nbytes == 2000 * (20 + 16)
    paths = find_images([str(shard)])
    read_file(paths[0])
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        assert all(len(read_file(path)) == 100 for path in paths)
        after, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 5000
    assert most - before < 300_000


def test_sparse_files_are_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / 'a.tar', 'w') as tar:
        entry = tarfile.TarInfo('a.jpg')
        entry.type = tarfile.GNUTYPE_SPARSE
        tar.addfile(entry)
    with pytest.raises(UserError, match=r"a\.tar: 'a.jpg' .* sparse"):
        find_images([str(tmp_path)])


def test_headers_are_read_once_and_again_after_a_change(
    tmp_path: Path, warned: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shard = write_tar(tmp_path / 'a.tar', {'a.jpg': b'1', 'b.jpg': b'2'})
    found = find_images([str(tmp_path)])
    status = shard.stat()
    with shard.open('r+b') as file:
        file.seek(1024)
        file.write(b'?')
    # It would be refused if the headers were read.
    os.utime(shard, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert find_images([str(tmp_path)]) == found
    os.utime(shard, (0, 0))
    with pytest.raises(UserError, match=r'a\.tar'):
        find_images([str(tmp_path)])
    write_tar(shard, {'c.jpg': b'1'})
    (index,) = tmp_path.glob('.a.tar.*')
    index.write_bytes(index.read_bytes()[:99])
    assert names(shard, find_images([str(tmp_path)])) == ['c.jpg']

    def full(*_: Any) -> None:
        raise WriteError('no room')

    monkeypatch.setattr('sce_mm.datasets.images.shards.replace_durably', full)
    index.unlink()
    assert names(shard, find_images([str(tmp_path)])) == ['c.jpg']
    assert 'cannot be kept' in warned[-1]
    # A tar that has vanished is an image that cannot be read.
    shard.unlink()
    with pytest.raises(OSError, match=r'a\.tar'):
        read_file(f'{shard}/c.jpg')


def test_all_that_reads_images_reads_those_in_tars(tmp_path: Path) -> None:
    photos = tmp_path / 'photos'
    for folder in ('cats', 'dogs'):
        (photos / folder).mkdir(parents=True)
        write_noise(photos / folder, 3)
        (photos / folder / f'{folder}.jpg').write_bytes(IMAGE[len(folder) :])
    (photos / 'cats' / 'photo.jpg').write_bytes(IMAGE)
    files = find_images([str(photos)])
    packed = pack_shards(files, str(photos), tmp_path / 'shards', 20_000)
    assert len(packed.shards) == 3
    members = find_images([str(tmp_path / 'shards')])
    assert image_sizes(members, LoadImage()) == image_sizes(files, LoadImage())
    facts = [inspect_images(paths, 1) for paths in (files, members)]
    for one, other in zip(*facts, strict=True):
        same = {'path': '', 'seconds': 0, 'print': None}
        assert one._replace(**same) == other._replace(**same)
        assert one.print.content == other.print.content
    labels, classes = classes_of(str(tmp_path / 'shards'), members)
    assert classes == ['cats', 'dogs']
    assert labels == classes_of(str(photos), files)[0]
    cache = tmp_path / 'cache'
    assert build_cache(str(tmp_path / 'shards'), cache, None) == 2
    pixels = ImageCache(cache)
    for path, fact in zip(members, inspect_images(files, 1), strict=True):
        if not fact.problem:
            assert pixels.size(path) == (fact.height, fact.width)
            load = LoadImage()({'img_path': path})
            assert load is not None
            assert np.array_equal(pixels.read(path), load['img'])


def test_equal_images_give_equal_tars(tmp_path: Path) -> None:
    first, second = tmp_path / 'first', tmp_path / 'second'
    (first / 'sub').mkdir(parents=True)
    write_noise(first, 3)
    (first / 'sub' / 'b\udcff.jpg').write_bytes(IMAGE)
    (first / 'notes.txt').write_text('no image')
    shutil.copytree(first, second)
    for source in (first, second):
        paths = find_images([str(source)])
        pack_shards(paths, str(source), source / 'out', 6200)
    shards = sorted(first.glob('out/*.tar'))
    assert [x.name for x in shards] == [f'{n:06}.tar' for n in range(4)]
    for shard in shards:
        assert shard.read_bytes() == (second / 'out' / shard.name).read_bytes()
    # Any program unpacks them.
    for shard in shards:
        with tarfile.open(shard) as tar:
            tar.extractall(tmp_path / 'third', filter='data')
    third = find_images([str(tmp_path / 'third')])
    expected = [x for x in find_images([str(first)]) if '/out/' not in x]
    assert names(tmp_path / 'third', third) == names(first, expected)
    assert list(map(read_file, third)) == list(map(read_file, expected))


def test_tars_are_there_in_full_or_not_at_all(tmp_path: Path) -> None:
    source, out = tmp_path / 'source', tmp_path / 'new' / 'out'
    source.mkdir()
    write_noise(source, 3)
    paths = find_images([str(source)])
    with pytest.raises(UserError, match='source'):
        pack_shards([*paths[:2], str(source)], str(source), out, 6200)
    assert not list(out.parent.iterdir())
    out.mkdir()
    pack_shards(paths[:2], str(source), out)
    before = {path: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(FileExistsError, match='is not empty'):
        pack_shards(paths[:2], str(source), out)
    assert before == {path: path.read_bytes() for path in out.iterdir()}


def test_images_that_are_gone_are_left_out_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warned: list[str]
) -> None:
    source = tmp_path / 'source'
    source.mkdir()
    write_noise(source, 3)
    paths = find_images([str(source)])

    def read(path: str) -> bytes:
        # Somebody removes it while its tar is written.
        Path(paths[1]).unlink(missing_ok=True)
        return Path(path).read_bytes()

    monkeypatch.setattr(shard_writing, 'read_file', read)
    listed = [*paths, str(source / 'gone.png')]
    assert pack_shards(listed, str(source), tmp_path / 'out').images == 2
    assert 'gone.png (no such file)' in warned[0]
    assert '1.png (no such file)' in warned[1]
    with pytest.raises(UserError, match='none of 1 images is there'):
        pack_shards(listed[3:], str(source), tmp_path / 'none')


def test_the_command_packs_a_folder_or_a_list(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / 'source', tmp_path / 'out'
    (source / 'sub').mkdir(parents=True)
    write_noise(source / 'sub', 3)
    command.main([str(source), str(out)])
    printed = capsys.readouterr().out
    assert '3 images in 1 tar files, 0.0 MB' in printed
    assert f'sce train RECIPE --data {out}' in printed
    some = tmp_path / 'some.txt'
    some.write_text(f'{source}/sub/2.png\n{source}/sub/0.png\n')
    words = [str(some), str(tmp_path / 'some'), '--shard-size', '1']
    command.main(words)
    found = names(tmp_path / 'some', find_images([str(tmp_path / 'some')]))
    assert found == ['000000.tar/2.png', '000000.tar/0.png']
