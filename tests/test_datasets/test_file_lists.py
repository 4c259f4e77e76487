"""Folders and lists of images, and the messages when there are none."""

import os
from pathlib import Path

import pytest
from image_files import encode, photo

from sce_mm.datasets import decode_image
from sce_mm.datasets.images import file_lists
from sce_mm.datasets.images.file_lists import (
    find_images,
    is_hidden,
    read_image_list,
    write_image_list,
)

IMAGES = [
    *('a.JPEG', 'b.jpg', 'sub/c.PNG', 'sub/deep/d.webp', 'sub/e.tiff'),
    'z.bmp',
]
OTHERS = ['notes.txt', 'README']
HIDDEN = [
    '.thumbnails/f.jpg',
    '._b.jpg',
    'sub/__MACOSX/g.jpg',
    '$RECYCLE.BIN/h.jpg',
    'sub/.ipynb_checkpoints/c-checkpoint.png',
    'Thumbs.db',
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tree with images, hidden files and files of other kinds."""
    root = tmp_path / 'photos'
    for name in (*IMAGES, *OTHERS, *HIDDEN):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


@pytest.fixture
def warned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is logged."""
    lines: list[str] = []
    monkeypatch.setattr(file_lists, 'warn', lines.append)
    return lines


def names(root: Path, found: list[str]) -> list[str]:
    return [Path(path).relative_to(root).as_posix() for path in found]


def read(folder: Path, content: str | bytes, name: str = 'list.txt') -> list:
    """Paths of a list of this content, relative to the folder."""
    path = folder.parent / name
    data = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(data)
    return names(folder, read_image_list(str(path), str(folder)))


def test_a_folder_is_searched_to_the_bottom_in_a_fixed_order(
    folder: Path,
) -> None:
    assert names(folder, find_images([str(folder)])) == IMAGES
    both = find_images([str(folder), str(folder / 'sub')])
    assert names(folder, both) == IMAGES
    assert names(folder, find_images([str(folder)], ['.TXT'])) == ['notes.txt']
    # A hidden folder that is named is searched.
    assert len(find_images([str(folder / '.thumbnails')])) == 1


def test_one_rule_says_what_is_hidden() -> None:
    for name in ('..photos', '.DS_Store', '$Recycle.Bin', 'thumbs.db'):
        assert is_hidden(name)
    for name in ('.', '..', '', 'a.jpg', '_a', 'MACOSX', 'thumbs.db.jpg'):
        assert not is_hidden(name)


def test_all_that_the_decoder_reads_is_taken(tmp_path: Path) -> None:
    for kind, extension in (('JPEG', 'JPE'), ('PPM', 'pgm'), ('PNG', 'apng')):
        path = tmp_path / f'a.{extension}'
        path.write_bytes(encode(photo().resize((8, 8)), kind))
    found = find_images([str(tmp_path)])
    assert len(found) == 3
    for name in found:
        assert decode_image(Path(name).read_bytes()).shape == (8, 8, 3)


def test_what_is_left_out_is_counted_in_one_line(
    folder: Path, warned: list[str]
) -> None:
    for number in range(60):
        (folder / f'sub/IMG_{number}.HEIC').touch()
    assert len(find_images([str(folder)])) == 6
    (line,) = warned
    for part in (str(folder), '60 .heic', '1 .txt', '1 without', 'convert'):
        assert part in line


def test_each_file_is_taken_once_whatever_its_names(
    folder: Path, tmp_path: Path, warned: list[str]
) -> None:
    outside = tmp_path / 'outside.png'
    outside.touch()
    (folder / 'a link.jpg').symlink_to(folder / 'z.bmp')
    (folder / 'sub/hard.jpg').hardlink_to(folder / 'b.jpg')
    (folder / 'x.png').symlink_to(outside)
    (folder / 'y.png').symlink_to(folder / 'x.png')
    # Loops end, and a folder of two names is read once.
    (folder / 'sub/deep/loop').symlink_to(folder, target_is_directory=True)
    (folder / 'twice').symlink_to(folder / 'sub', target_is_directory=True)
    for name in OTHERS:
        (folder / name).unlink()
    assert names(folder, find_images([str(folder)])) == [
        'a link.jpg',
        *IMAGES[:-1],
        'x.png',
    ]
    (line,) = warned
    assert line.startswith('3 files are further names')
    entries = 'sub/hard.jpg\na.JPEG\nx.png\nb.jpg\ny.png\n'
    assert read(folder, entries) == ['sub/hard.jpg', 'a.JPEG', 'x.png']
    assert warned[1].startswith('2 files are further names')


def test_a_folder_that_may_not_be_read_is_left_out_and_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, warned: list[str]
) -> None:
    scan = os.scandir

    def refuse(path: str) -> object:
        if path.endswith('deep'):
            raise PermissionError(13, 'Permission denied', path)
        return scan(path)

    monkeypatch.setattr(os, 'scandir', refuse)
    assert len(find_images([str(folder)])) == 5
    assert f'{folder / "sub/deep"} (Permission denied)' in warned[0]


def test_what_only_looks_like_an_image_by_its_name(
    folder: Path, warned: list[str]
) -> None:
    (folder / 'album.jpg').mkdir()
    (folder / 'album.jpg' / 'in.png').touch()
    os.mkfifo(folder / 'pipe.jpg')
    (folder / 'self.jpg').symlink_to('self.jpg')
    (folder / 'gone.jpg').symlink_to(folder / 'nowhere')
    (folder / os.fsdecode(b'caf\xe9.jpg')).touch()
    found = names(folder, find_images([str(folder)]))
    assert sorted(found) == sorted(
        [*IMAGES, 'album.jpg/in.png', 'caf\udce9.jpg']
    )
    lost = next(line for line in warned if 'cannot be reached' in line)
    assert lost.startswith('2 links')
    assert 'gone.jpg' in lost


def test_folders_that_cannot_be_used(folder: Path) -> None:
    (folder / 'empty').mkdir()
    (folder / 'full').mkdir()
    (folder / 'full' / 'a.txt').touch()
    for root, error, message in (
        ('nope', FileNotFoundError, 'no folder .*nope.*looked in'),
        ('notes.txt', NotADirectoryError, 'or a list: a .txt'),
        ('empty', FileNotFoundError, 'found no file .hidden'),
        ('full', FileNotFoundError, r'found 1 \.txt. Only .*\.jpg .*convert'),
    ):
        with pytest.raises(error, match=message):
            find_images([str(folder / root)])


@pytest.mark.parametrize(
    ('content', 'expected'),
    [
        (
            b'sub/c.PNG\r\n\n  b.jpg \na file.jpg\n',
            ['sub/c.PNG', 'b.jpg', 'a file.jpg'],
        ),
        (b'\xef\xbb\xbfb.jpg\ncaf\xe9.jpg\n', ['b.jpg', 'caf\udce9.jpg']),
        # Where all of them lie was chosen.
        (b'.thumbnails/f.jpg\n.thumbnails/._f.jpg\n', ['.thumbnails/f.jpg']),
    ],
)
def test_a_list_is_read_relative_to_the_root(
    folder: Path, content: bytes, expected: list[str]
) -> None:
    assert read(folder, content) == expected


def test_absolute_paths_need_an_empty_root(folder: Path) -> None:
    with pytest.raises(ValueError, match=r'line 1: .*leads out of data_root'):
        read(folder, f'{folder}/b.jpg\n')
    found = read_image_list(str(folder.parent / 'list.txt'))
    assert found == [f'{folder}/b.jpg']


@pytest.mark.parametrize(
    ('content', 'error', 'message'),
    [
        ('b.jpg\nsub/../../x\n', ValueError, 'line 2: .*leads out'),
        ('b.jpg\n\n./b.jpg\n', ValueError, 'line 3: .* stands in line 1'),
        ('b.jpg\n'.encode('utf-16'), ValueError, 'UTF-16: save it as UTF-8'),
        ('\n\n', FileNotFoundError, 'is empty'),
        ('b.jpg 0\nc 1\n', FileNotFoundError, r'none of 2 .*no label'),
        ('._b.jpg\n', FileNotFoundError, 'only hidden files'),
    ],
)
def test_lists_that_are_refused(
    folder: Path, content: str | bytes, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        read(folder, content)
    with pytest.raises(FileNotFoundError, match=r'no list file .*ann_file'):
        read_image_list(str(folder / 'nope.txt'), str(folder))


def test_hidden_and_missing_entries_are_counted(
    folder: Path, warned: list[str]
) -> None:
    entries = (
        './b.jpg\n./._b.jpg\n$RECYCLE.BIN/h.jpg\nsub/c.PNG\n'
        'sub/.ipynb_checkpoints/c-checkpoint.png\nsub\nno.jpg\n'
    )
    # Others take the place of the missing ones when they are read.
    assert read(folder, entries) == ['b.jpg', 'sub/c.PNG', 'sub', 'no.jpg']
    hidden, missing = warned
    assert hidden.startswith('3 hidden or system files')
    assert missing.startswith('2 of 4 entries')
    assert str(folder / 'sub') in missing


def test_a_json_list_holds_any_name(tmp_path: Path) -> None:
    names = ['plain.jpg', 'caf\udce9.jpg', 'two\nlines.jpg', ' ends .jpg ']
    for name in names:
        (tmp_path / name).touch()
    path = tmp_path / 'list.json'
    write_image_list(path, names)
    found = read_image_list(str(path), str(tmp_path))
    assert found == [str(tmp_path / name) for name in names]


@pytest.mark.parametrize(
    ('text', 'named'),
    [
        ('{"images": []}', 'COCO format'),
        ('a.jpg', 'not JSON'),
        ('["a", "a"]', 'entry 2.*entry 1 already'),
    ],
)
def test_json_lists_that_are_none(folder: Path, text: str, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        read(folder, text, 'list.json')


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('clips', r'2 \.mov\. Take frames out of videos'),
        ('raw', r'1 \.heic\. Only .* convert'),
        ('lost', "1 links or files that cannot be reached, such as '.*a.jpg'"),
        ('photos.zip', "photos.zip' is a file, .*: unpack it"),
        ('*.jpg', 'patterns are not taken, name the folder'),
        ('https://example.org/a.zip', 'is an address'),
    ],
)
def test_what_holds_no_images_is_answered_by_what_to_do(
    tmp_path, monkeypatch, name, message
):
    monkeypatch.chdir(tmp_path)
    for folder in ('clips', 'raw', 'lost'):
        (tmp_path / folder).mkdir()
    for file in ('clips/a.mov', 'clips/b.MOV', 'raw/a.HEIC', 'photos.zip'):
        (tmp_path / file).write_bytes(b'x')
    (tmp_path / 'lost' / 'a.jpg').symlink_to('nowhere.jpg')
    with pytest.raises(OSError, match=message):
        find_images([name])
