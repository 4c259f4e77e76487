"""VOC's XML files as labelling programs write them, to COCO's format."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters import run
from PIL import Image

WIDTH, HEIGHT = 40, 30
BOX = {'xmin': 2, 'ymin': 3, 'xmax': 12, 'ymax': 23}


def tags(**fields: object) -> str:
    return ''.join(f'<{k}>{v}</{k}>' for k, v in fields.items())


def obj(name: str = 'cell', difficult: object = 0, **corners: object) -> str:
    box = tags(**{**BOX, **corners})
    return tags(object=tags(name=name, difficult=difficult) + tags(bndbox=box))


def xml(
    filename: str = 'a.jpg',
    width: object = WIDTH,
    height: object = HEIGHT,
    objects: str | None = None,
) -> str:
    size = tags(size=tags(width=width, height=height))
    objects = obj() if objects is None else objects
    return tags(annotation=tags(filename=filename) + size + objects)


def write_image(path: Path, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3))
    Image.fromarray(noise.astype(np.uint8)).save(path, **options)


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    """Images a, b and c; an XML file of each."""
    root = tmp_path / 'voc'
    (root / 'Annotations').mkdir(parents=True)
    for name in 'abc':
        write_image(root / 'JPEGImages' / f'{name}.jpg')
        put(root, xml(f'{name}.jpg'), name)
    return root


def put(voc: Path, content: str | bytes, name: str = 'a') -> None:
    data = content.encode() if isinstance(content, str) else content
    (voc / 'Annotations' / f'{name}.xml').write_bytes(data)


def convert(voc: Path, *arguments: object) -> tuple[dict[str, Any], str]:
    out = voc / 'out' / 'train.json'
    words = voc / 'Annotations', out, '--overwrite', *arguments
    printed = run('voc_to_coco', *words)
    return json.loads(out.read_text()), printed


def files(content: dict[str, Any]) -> list[str]:
    return [image['file_name'] for image in content['images']]


def classes(content: dict[str, Any]) -> list[str]:
    return [category['name'] for category in content['categories']]


def test_labels_become_coco_labels(voc: Path) -> None:
    blot = obj('blot', 1, xmax=2)
    put(voc, xml('c.jpg', objects=obj() + blot + obj('blot', 1)), 'c')
    names = voc / 'train.txt'
    names.write_text('\ufeffc.jpg\r\na\r\n\r\n', encoding='utf-8')
    content, printed = convert(voc, '--names', names)
    assert '2 images, 3 boxes' in printed
    assert '1 boxes without an area left out' in printed
    assert content['images'] == [
        {'id': n, 'file_name': f'{name}.jpg', 'width': 40, 'height': 30}
        for n, name in enumerate('ca')
    ]
    assert content['categories'] == [
        {'id': 1, 'name': 'blot'},
        {'id': 2, 'name': 'cell'},
    ]
    assert content['annotations'][0] == {
        'id': 1,
        'image_id': 0,
        'category_id': 2,
        'bbox': [1.0, 2.0, 10.0, 20.0],
        'area': 200.0,
        'iscrowd': 0,
    }
    assert [a['iscrowd'] for a in content['annotations']] == [0, 1, 0]
    content, _ = convert(voc, '--classes', 'cell', 'blot')
    assert classes(content) == ['cell', 'blot']


@pytest.mark.parametrize(
    ('filename', 'repaired'),
    [
        ('', 1),
        (' a.jpg ', 0),
        ('A.JPG', 1),
        ('gone.jpg', 1),
        ('c.jpg', 1),
        ('C:\\Users\\me\\b images\\a.jpg', 1),
    ],
)
def test_the_image_is_found_whatever_its_file_is_said_to_be(
    voc: Path, filename: str, repaired: int
) -> None:
    put(voc, xml(filename))
    # Not an annotation: a Mac's note on the file.
    put(voc, b'\0\5\x16\7', '._a')
    content, printed = convert(voc)
    assert files(content) == ['a.jpg', 'b.jpg', 'c.jpg']
    assert ('1 file names replaced' in printed) == repaired


def test_images_may_lie_elsewhere_and_deeper(voc: Path) -> None:
    images = voc / 'elsewhere'
    for name in ('2020/a.png', 'b/b.v2.jpg', '@eaDir/a.png', '._c.jpg'):
        write_image(images / name)
    put(voc, xml('b.v2', objects=''), 'b.v2')
    for name in 'bc':
        (voc / 'Annotations' / f'{name}.xml').unlink()
    content, printed = convert(voc, '--images', images)
    assert files(content) == ['2020/a.png', 'b/b.v2.jpg']
    assert '1 images have no box' in printed
    with pytest.raises(RuntimeError, match='no folder'):
        convert(voc, '--images', voc / 'nowhere')
    (voc / 'JPEGImages').rename(voc / 'images')
    with pytest.raises(RuntimeError, match=r'no image .*2 \.xml.*--images'):
        convert(voc)


@pytest.mark.parametrize(
    ('size', 'counted'),
    [((0, 0), 2), (('40.0', '30.0'), 2), ((' 40 ', 30), 1)],
)
def test_sizes_are_those_of_the_images(
    voc: Path, size: tuple[object, object], counted: int
) -> None:
    put(voc, xml('a.jpg', *size))
    put(voc, xml('b.jpg').replace('size', 'sizes'), 'b')
    content, printed = convert(voc)
    assert {(i['width'], i['height']) for i in content['images']} == {(40, 30)}
    assert f'{counted} sizes taken from the image' in printed


@pytest.mark.parametrize(
    ('item', 'box', 'iscrowd', 'repair'),
    [
        (obj(xmin=-3, ymax=31.5), [0, 2, 11, 28], 0, '1 boxes cut'),
        (obj(xmin=12, xmax=2), [1, 2, 10, 20], 0, '1 boxes with swapped'),
        (obj('\n  cell\n'), [1, 2, 10, 20], 0, '1 class names'),
        (obj(difficult='True'), [1, 2, 10, 20], 1, '1 words'),
    ],
)
def test_what_is_certain_is_repaired_and_counted(
    voc: Path, item: str, box: list[float], iscrowd: int, repair: str
) -> None:
    put(voc, xml(objects=item))
    content, printed = convert(voc)
    assert content['annotations'][0]['bbox'] == box
    assert content['annotations'][0]['iscrowd'] == iscrowd
    assert classes(content) == ['cell']
    assert repair in printed
    assert len(printed.splitlines()) == 1 + bool(repair)


WORD = 'Zelle größer'


@pytest.mark.parametrize(
    ('declared', 'encoding', 'word'),
    [
        ('', 'utf-8-sig', WORD),
        ('utf-16', 'utf-16-le', WORD),
        ('utf-16', 'utf-8', WORD),
        ('windows-1252', 'cp1252', WORD),
        ('no-such', 'utf-8', WORD),
        ('gb2312', 'gb2312', '细胞'),
    ],
)
def test_encodings_are_those_shown_or_declared(
    voc: Path, declared: str, encoding: str, word: str
) -> None:
    head = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ''
    put(voc, (head + xml(objects=obj(word))).encode(encoding))
    # What cannot be read does no harm where it is not used.
    put(voc, xml('图片.jpg').encode('gbk'), 'b')
    assert word in classes(convert(voc)[0])


# Content of an XML file, and what its one line must name.
PROBLEMS: list[tuple[str | bytes, tuple[str, ...]]] = [
    ('<annotation>', ('no XML',)),
    (b'', ('no XML',)),
    ('<html/>', ('<html>', '<annotation>')),
    (xml(objects=obj(xmin='')), ('object 1 (cell)', "xmin ''")),
    (xml(objects=obj() + obj(ymax='nan')), ('object 2', "ymax 'nan'")),
    (xml(objects=obj(xmin=42, xmax=50)), ('42 to 50', 'width 40')),
    (xml(objects=obj('')), ('object 1', 'name')),
    (xml(objects=obj('细胞')).encode('gbk'), ('name', 'encoding')),
    (xml(objects=obj(difficult='maybe')), ('difficult', 'maybe')),
    (xml('a.jpg', 64, 48), ('size', '64 x 48', '40 x 30')),
    # Another's file name: by the XML file's own name its image is certain.
    (xml('b.jpg'), ()),
]


def test_all_problems_are_listed_and_nothing_is_written(voc: Path) -> None:
    for number, (content, _) in enumerate(PROBLEMS):
        name = f'p{number:02}'
        write_image(voc / 'JPEGImages' / f'{name}.jpg')
        data = content if isinstance(content, bytes) else content.encode()
        put(voc, data.replace(b'a.jpg', f'{name}.jpg'.encode()), name)
    put(voc, xml('b.jpg'), 'no image')
    (voc / 'JPEGImages' / 'c.jpg').write_bytes(b'no image')
    with pytest.raises(RuntimeError) as error:
        convert(voc)
    head, *lines = str(error.value).splitlines()
    expected = [
        *((f'p{number:02}', words) for number, (_, words) in
          enumerate(PROBLEMS) if words),
        ('no image', ("filename 'b.jpg'", 'no image')),
        ('c', ('c.jpg', 'cannot be read')),
    ]  # fmt: skip
    assert f'{len(expected)} problems' in head
    assert len(lines) == len(expected)
    for name, words in expected:
        (line,) = (line for line in lines if f'{name}.xml' in line)
        assert all(word in line for word in words), line
    assert not (voc / 'out').exists()


def test_two_images_that_could_be_meant(voc: Path) -> None:
    write_image(voc / 'JPEGImages' / 'a.png')
    assert files(convert(voc)[0])[0] == 'a.jpg'
    put(voc, xml('a'))
    with pytest.raises(RuntimeError, match=r'any of a\.jpg, a\.png'):
        convert(voc)
    # b has no file: is a.xml that of a or of b?
    (voc / 'JPEGImages' / 'a.png').unlink()
    (voc / 'Annotations' / 'b.xml').unlink()
    put(voc, xml('b.jpg'))
    with pytest.raises(RuntimeError, match=r'any of a\.jpg, b\.jpg'):
        convert(voc)


def test_boxes_of_an_image_before_its_exif_turn(voc: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    write_image(voc / 'JPEGImages' / 'a.jpg', exif=exif)
    with pytest.raises(RuntimeError, match=r'a\.xml: size: .*30 x 40.*EXIF'):
        convert(voc)
    put(voc, xml(width=HEIGHT, height=WIDTH))
    assert convert(voc)[0]['images'][0]['width'] == HEIGHT


def test_names_of_files_and_classes_that_are_not_there(voc: Path) -> None:
    names = voc / 'names.txt'
    names.write_text('a\nd\n')
    with pytest.raises(RuntimeError, match=r'd\.xml: .*No such file'):
        convert(voc, '--names', names)
    put(voc, xml(objects=obj('blot')))
    with pytest.raises(RuntimeError, match=r"name 'blot' of 1 .*--class"):
        convert(voc, '--classes', 'cell')
    put(voc, xml(objects=obj('Cell')))
    assert 'differ only in case: cell' in convert(voc)[1]
