"""Folders and lists of images, and what is said when there are none."""

import os
import stat
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
from sce_mm.utils.text import printable


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tree with images, hidden files and files of other kinds."""
    root = tmp_path / 'photos'
    for name in (
        'b.jpg',
        'a.JPEG',
        'sub/c.PNG',
        'sub/deep/d.webp',
        'sub/e.tiff',
        'z.bmp',
        'notes.txt',
        '.hidden.jpg',
        '.thumbnails/f.jpg',
        '._b.jpg',
        'sub/__MACOSX/g.jpg',
        '@eaDir/b.jpg/SYNOPHOTO_THUMB_M.jpg',
        '$RECYCLE.BIN/h.jpg',
        'System Volume Information/i.png',
        'sub/.ipynb_checkpoints/c-checkpoint.png',
        'Thumbs.db',
        'README',
    ):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def names(root: Path, found: list[str]) -> list[str]:
    return [Path(path).relative_to(root).as_posix() for path in found]


def test_a_folder_is_searched_to_the_bottom_in_a_fixed_order(
    folder: Path,
) -> None:
    assert names(folder, find_images([str(folder)])) == [
        'a.JPEG',
        'b.jpg',
        'sub/c.PNG',
        'sub/deep/d.webp',
        'sub/e.tiff',
        'z.bmp',
    ]


@pytest.mark.parametrize(
    ('name', 'hidden'),
    [
        ('._n01440764_1.JPEG', True),
        ('.DS_Store', True),
        ('.ipynb_checkpoints', True),
        ('__MACOSX', True),
        ('@eaDir', True),
        ('$Recycle.Bin', True),
        ('System Volume Information', True),
        ('thumbs.db', True),
        ('..photos', True),
        ('.', False),
        ('..', False),
        ('', False),
        ('a.jpg', False),
        ('_a', False),
        ('MACOSX', False),
        ('thumbs.db.jpg', False),
    ],
)
def test_one_rule_says_what_is_hidden(name: str, hidden: bool) -> None:
    assert is_hidden(name) is hidden


def test_a_hidden_folder_that_is_named_is_searched(folder: Path) -> None:
    assert len(find_images([str(folder / '.thumbnails')])) == 1


def test_all_that_the_decoder_reads_is_taken(tmp_path: Path) -> None:
    for kind, extension in (
        ('JPEG', 'jfif'),
        ('JPEG', 'JPE'),
        ('GIF', 'gif'),
        ('PPM', 'pgm'),
        ('PNG', 'apng'),
    ):
        path = tmp_path / f'a.{extension}'
        path.write_bytes(encode(photo().resize((8, 8)), kind))
    found = find_images([str(tmp_path)])
    assert len(found) == 5
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
    for number in range(99):
        (folder / f'x.{number}').touch()
    find_images([str(folder)])
    assert '94 of other kinds' in warned[-1]


def test_other_extensions_may_be_named(folder: Path) -> None:
    assert names(folder, find_images([str(folder)], ['.TXT'])) == ['notes.txt']


def test_links_are_followed_once_and_loops_end(folder: Path) -> None:
    (folder / 'sub/deep/loop').symlink_to(folder, target_is_directory=True)
    (folder / 'twice').symlink_to(folder / 'sub', target_is_directory=True)
    (folder / 'dangling.jpg').symlink_to(folder / 'nowhere')
    assert len(find_images([str(folder)])) == 6


def test_each_file_is_taken_once_whatever_its_names(
    folder: Path, tmp_path: Path, warned: list[str]
) -> None:
    outside = tmp_path / 'outside.png'
    outside.touch()
    (folder / 'a link.jpg').symlink_to(folder / 'z.bmp')
    (folder / 'sub/hard.jpg').hardlink_to(folder / 'b.jpg')
    (folder / 'x.png').symlink_to(outside)
    (folder / 'y.png').symlink_to(folder / 'x.png')
    (folder / 'notes.txt').unlink()
    (folder / 'README').unlink()
    assert names(folder, find_images([str(folder)])) == [
        'a link.jpg',
        'a.JPEG',
        'b.jpg',
        'sub/c.PNG',
        'sub/deep/d.webp',
        'sub/e.tiff',
        'x.png',
    ]
    (line,) = warned
    assert line.startswith('3 files are further names')
    listed = tmp_path / 'list.txt'
    listed.write_text('sub/hard.jpg\na.JPEG\nx.png\nb.jpg\ny.png\n')
    assert names(folder, read_image_list(str(listed), str(folder))) == [
        'sub/hard.jpg',
        'a.JPEG',
        'x.png',
    ]
    assert warned[1].startswith('2 files are further names')


def test_files_without_a_number_are_all_taken(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As of some network drives.
    monkeypatch.setattr(
        file_lists,
        '_identity',
        lambda status: (
            status.st_dev,
            stat.S_ISDIR(status.st_mode) and status.st_ino,
        ),
    )
    assert len(find_images([str(folder)])) == 6


@pytest.fixture
def warned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is logged."""
    lines: list[str] = []
    monkeypatch.setattr(
        file_lists, 'print_log', lambda message, **_: lines.append(message)
    )
    return lines


def test_links_that_lead_nowhere_are_left_out_and_said(
    folder: Path, warned: list[str]
) -> None:
    (folder / 'self.jpg').symlink_to('self.jpg')
    (folder / 'gone.jpg').symlink_to(folder / 'nowhere')
    assert len(find_images([str(folder)])) == 6
    lost = next(line for line in warned if 'cannot be reached' in line)
    assert lost.startswith('2 links')
    assert 'gone.jpg' in lost


def test_a_folder_that_may_not_be_read_is_left_out_and_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch, warned: list[str]
) -> None:
    scan = os.scandir

    def refuse(path: str) -> object:
        if path.endswith('deep'):
            raise PermissionError(13, 'Permission denied', path)
        return scan(path)

    monkeypatch.setattr(os, 'scandir', refuse)
    assert len(find_images([str(folder)])) == 5
    assert warned[0] == (
        f'cannot look into the folder {folder / "sub/deep"} (Permission '
        'denied): what is in it is left out'
    )


def test_a_path_is_shown_in_one_plain_line() -> None:
    shown = printable('a\nINFO all well \x1b[31m\udcff\u2028é日.jpg')
    assert shown == 'a\\nINFO all well \\x1b[31m\\udcff\\u2028é日.jpg'


def test_what_only_looks_like_an_image_by_its_name(folder: Path) -> None:
    (folder / 'album.jpg').mkdir()
    (folder / 'album.jpg' / 'in.png').touch()
    os.mkfifo(folder / 'pipe.jpg')
    (folder / os.fsdecode(b'caf\xe9.jpg')).touch()
    found = names(folder, find_images([str(folder)]))
    assert {'album.jpg/in.png', 'caf\udce9.jpg'} <= set(found)
    assert not {'album.jpg', 'pipe.jpg'} & set(found)


def test_folders_that_overlap_give_each_image_once(folder: Path) -> None:
    found = find_images([str(folder), str(folder / 'sub')])
    assert len(found) == len(set(found)) == 6


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r'no folder .*nope.*looked in'
    ):
        find_images([str(tmp_path / 'nope')])


def test_a_file_for_a_folder_is_told_of_ann_file(folder: Path) -> None:
    with pytest.raises(NotADirectoryError, match='given as ann_file'):
        find_images([str(folder / 'notes.txt')])


def test_a_folder_without_images_says_what_it_holds(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match='found no file at all'):
        find_images([str(tmp_path)])
    for name in ('a.txt', 'b.txt', 'c.DCM', 'README'):
        (tmp_path / name).touch()
    message = r'found 2 \.txt, 1 .*Convert .*\.jpg .*extensions'
    with pytest.raises(FileNotFoundError, match=message):
        find_images([str(tmp_path)])


def test_a_list_is_read_relative_to_the_root(folder: Path) -> None:
    listed = folder / 'notes.txt'
    listed.write_bytes(b'sub/c.PNG\r\n\n  b.jpg \na file.jpg\n')
    found = read_image_list(str(listed), str(folder))
    assert names(folder, found) == ['sub/c.PNG', 'b.jpg', 'a file.jpg']


def test_a_list_may_begin_with_a_mark_and_hold_any_bytes(folder: Path) -> None:
    listed = folder / 'notes.txt'
    listed.write_bytes(b'\xef\xbb\xbfb.jpg\ncaf\xe9.jpg\n')
    found = read_image_list(str(listed), str(folder))
    assert names(folder, found) == ['b.jpg', 'caf\udce9.jpg']


def test_absolute_paths_need_an_empty_root(folder: Path) -> None:
    listed = folder / 'notes.txt'
    listed.write_text(f'{folder}/b.jpg\n')
    assert read_image_list(str(listed)) == [f'{folder}/b.jpg']
    with pytest.raises(ValueError, match=r'line 1: .*leads out of data_root'):
        read_image_list(str(listed), str(folder))


@pytest.mark.parametrize('entry', ['../x.jpg', 'sub/../../x.jpg', '..'])
def test_a_list_cannot_lead_out_of_its_root(folder: Path, entry: str) -> None:
    listed = folder / 'notes.txt'
    listed.write_text(f'b.jpg\n{entry}\n')
    with pytest.raises(ValueError, match=r'line 2: .*leads out of data_root'):
        read_image_list(str(listed), str(folder))


def test_a_list_that_is_missing_empty_or_wrong_is_refused(
    folder: Path,
) -> None:
    with pytest.raises(FileNotFoundError, match=r'no list file .*ann_file'):
        read_image_list(str(folder / 'nope.txt'), str(folder))
    listed = folder / 'notes.txt'
    listed.write_text('\n\n')
    with pytest.raises(FileNotFoundError, match='is empty'):
        read_image_list(str(listed), str(folder))
    listed.write_text('b.jpg 0\nsub/c.PNG 1\n')
    with pytest.raises(FileNotFoundError, match=r'none of 2 .*\(no label\)'):
        read_image_list(str(listed), str(folder))


def test_a_path_that_stands_twice_in_a_list_is_refused(folder: Path) -> None:
    listed = folder / 'notes.txt'
    listed.write_text('b.jpg\nsub/c.PNG\n\nb.jpg\n')
    with pytest.raises(ValueError, match=r"line 4: 'b.jpg' stands in line 1"):
        read_image_list(str(listed), str(folder))


def test_two_spellings_of_a_path_are_one(folder: Path) -> None:
    listed = folder / 'notes.txt'
    listed.write_text('b.jpg\nsub//./c.PNG\n./b.jpg\n')
    with pytest.raises(ValueError, match=r'line 3: .* stands in line 1'):
        read_image_list(str(listed), str(folder))


def test_a_list_in_utf_16_is_told_apart(folder: Path) -> None:
    listed = folder / 'notes.txt'
    listed.write_text('b.jpg\n', encoding='utf-16')
    with pytest.raises(ValueError, match=r'line 1: .*save the list as UTF-8'):
        read_image_list(str(listed), str(folder))


def test_hidden_files_of_a_list_are_left_out(
    folder: Path, warned: list[str]
) -> None:
    listed = folder / 'notes.txt'
    entries = (
        './b.jpg\n./._b.jpg\n$RECYCLE.BIN/h.jpg\nsub/c.PNG\n'
        'sub/.ipynb_checkpoints/c-checkpoint.png\n'
    )
    listed.write_text(entries)
    found = read_image_list(str(listed), str(folder))
    assert names(folder, found) == ['b.jpg', 'sub/c.PNG']
    assert warned[0].startswith('3 hidden or system files')
    listed.write_text('._b.jpg\n')
    with pytest.raises(FileNotFoundError, match='hidden files alone'):
        read_image_list(str(listed), str(folder))


def test_all_images_of_a_list_may_lie_in_a_hidden_folder(
    folder: Path, warned: list[str]
) -> None:
    listed = folder / 'notes.txt'
    (folder / '.thumbnails' / '._f.jpg').touch()
    (folder / '.thumbnails' / 'g.jpg').touch()
    listed.write_text(
        ''.join(f'.thumbnails/{n}.jpg\n' for n in ('f', '._f', 'g'))
    )
    found = read_image_list(str(listed), str(folder))
    assert names(folder, found) == ['.thumbnails/f.jpg', '.thumbnails/g.jpg']


def test_missing_entries_of_a_list_are_counted(
    folder: Path, warned: list[str]
) -> None:
    listed = folder / 'notes.txt'
    listed.write_text('b.jpg\nsub\nno.jpg\n')
    assert len(read_image_list(str(listed), str(folder))) == 3
    (line,) = warned
    assert line.startswith('2 of 3 entries')
    assert str(folder / 'sub') in line


def test_a_json_list_holds_any_name(tmp_path):
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
        ('["a", 3]', 'list of paths'),
        ('a.jpg', 'not JSON'),
        ('["a", "a"]', 'entry 2.*entry 1 already'),
        ('["../a"]', 'entry 1.*leads out'),
    ],
)
def test_json_lists_that_are_none(tmp_path, text, named):
    path = tmp_path / 'list.json'
    path.write_text(text)
    with pytest.raises(ValueError, match=named):
        read_image_list(str(path), str(tmp_path))
