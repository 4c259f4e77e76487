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
    told = run('voc_to_coco', voc / 'Annotations', out, *arguments)
    return json.loads(out.read_text()), told


def test_labels_become_coco_labels(voc: Path) -> None:
    blot = obj('blot', 1, xmax=2)
    put(voc, xml('c.jpg', objects=obj() + blot + obj('blot', 1)), 'c')
    names = voc / 'train.txt'
    names.write_text('c\na\n')
    content, told = convert(voc, '--names', names)
    assert '2 images, 3 boxes' in told
    assert '1 boxes without an area left out' in told
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
        'bbox': [2.0, 3.0, 10.0, 20.0],
        'area': 200.0,
        'iscrowd': 0,
    }
    assert [a['iscrowd'] for a in content['annotations']] == [0, 1, 0]
    content, _ = convert(voc, '--classes', 'cell', 'blot')
    assert [c['name'] for c in content['categories']] == ['cell', 'blot']


@pytest.mark.parametrize(
    'filename',
    [
        'a',
        '',
        ' a.jpg ',
        'A.JPG',
        'a.png',
        'gone.jpg',
        'c.jpg',
        'C:\\Users\\me\\b images\\a.jpg',
        '/home/me/a.jpg',
    ],
)
def test_the_image_is_found_whatever_its_file_is_said_to_be(
    voc: Path, filename: str
) -> None:
    put(voc, xml(filename))
    content, told = convert(voc)
    assert [i['file_name'] for i in content['images']] == [
        'a.jpg',
        'b.jpg',
        'c.jpg',
    ]
    repaired = filename.strip() != 'a.jpg'
    assert ('1 file names replaced' in told) == repaired


def test_images_may_lie_elsewhere_and_deeper(voc: Path) -> None:
    images = voc / 'elsewhere'
    write_image(images / '2020' / 'a.png')
    write_image(images / 'b' / 'b.v2.jpg')
    write_image(images / '@eaDir' / 'a.png')
    write_image(images / '._c.jpg')
    put(voc, xml('b.v2', objects=''), 'b.v2')
    for name in 'bc':
        (voc / 'Annotations' / f'{name}.xml').unlink()
    content, told = convert(voc, '--images', images)
    assert [i['file_name'] for i in content['images']] == [
        '2020/a.png',
        'b/b.v2.jpg',
    ]
    assert '1 images have no box' in told


@pytest.mark.parametrize(
    ('width', 'height', 'counted'),
    [
        (0, 0, 1),
        ('40.0', '30.0', 1),
        ('', '', 1),
        ('nan', 30, 1),
        (-1, 30, 1),
        (' 40 ', 30, 0),
    ],
)
def test_sizes_are_those_of_the_images(
    voc: Path, width: object, height: object, counted: int
) -> None:
    put(voc, xml('a.jpg', width, height))
    put(voc, xml('b.jpg').replace('size', 'sizes'), 'b')
    content, told = convert(voc)
    assert {(i['width'], i['height']) for i in content['images']} == {(40, 30)}
    assert f'{1 + counted} sizes taken from the image' in told


@pytest.mark.parametrize(
    ('item', 'box', 'iscrowd', 'told'),
    [
        (obj(xmin=-3, ymax=31.5), [0, 3, 12, 27], 0, '1 boxes cut'),
        (obj(xmin=12, xmax=2), [2, 3, 10, 20], 0, '1 boxes with swapped'),
        (obj(xmin='2.5 '), [2.5, 3, 9.5, 20], 0, ''),
        (obj(' cell'), [2, 3, 10, 20], 0, '1 class names'),
        (obj('\n  cell\n'), [2, 3, 10, 20], 0, '1 class names'),
        (obj(difficult='True'), [2, 3, 10, 20], 1, '1 words'),
        (obj(difficult='false'), [2, 3, 10, 20], 0, '1 words'),
        (obj(difficult=1), [2, 3, 10, 20], 1, ''),
        (obj(difficult=''), [2, 3, 10, 20], 0, ''),
    ],
)
def test_what_is_certain_is_repaired_and_counted(
    voc: Path, item: str, box: list[float], iscrowd: int, told: str
) -> None:
    put(voc, xml(objects=item))
    content, text = convert(voc)
    assert content['annotations'][0]['bbox'] == box
    assert content['annotations'][0]['iscrowd'] == iscrowd
    assert [c['name'] for c in content['categories']] == ['cell']
    assert told in text
    assert len(text.splitlines()) == 1 + bool(told)


WORD = 'Zelle größer'


@pytest.mark.parametrize(
    ('declared', 'encoding'),
    [
        ('', 'utf-8'),
        ('', 'utf-8-sig'),
        ('', 'utf-16'),
        ('utf-16', 'utf-16-le'),
        ('utf-16', 'utf-8'),
        ('windows-1252', 'cp1252'),
        ('latin1', 'latin1'),
        ('no-such', 'utf-8'),
        ('ascii', 'utf-8'),
    ],
)
def test_encodings_are_those_shown_or_declared(
    voc: Path, declared: str, encoding: str
) -> None:
    head = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ''
    text = head + xml(objects=obj(WORD))
    put(voc, text.encode(encoding))
    content, _ = convert(voc)
    assert WORD in [c['name'] for c in content['categories']]


def test_letters_of_several_bytes(voc: Path) -> None:
    head = '<?xml version="1.0" encoding="gb2312"?>'
    put(voc, (head + xml(objects=obj('细胞'))).encode('gb2312'))
    # What cannot be read does no harm where it is not used.
    put(voc, xml('图片.jpg').encode('gbk'), 'b')
    content, _ = convert(voc)
    assert [c['name'] for c in content['categories']] == ['cell', '细胞']
    put(voc, xml('c.jpg', objects=obj('细胞')).encode('gbk'), 'c')
    with pytest.raises(RuntimeError, match=r'c\.xml: .*name .*encoding'):
        convert(voc)


def test_system_files_are_passed_by(voc: Path) -> None:
    put(voc, b'\0\5\x16\7', '._a')
    assert len(convert(voc)[0]['images']) == 3


PROBLEMS: list[tuple[str | bytes, tuple[str, ...]]] = [
    ('<annotation>', ('no XML',)),
    (b'', ('no XML',)),
    ('<html/>', ('<html>', '<annotation>')),
    (xml(objects=obj(xmin='')), ('object 1 (cell)', 'xmin', 'empty')),
    (xml(objects=obj() + obj(ymax='nan')), ('object 2', 'ymax', "'nan'")),
    (xml(objects=obj(ymin='inf')), ('ymin', "'inf'")),
    (xml(objects=obj(xmax='1O')), ('xmax', "'1O'")),
    (xml(objects=obj(xmin=41, xmax=50)), ('xmin and xmax 41 and 50', '40')),
    (xml(objects=obj(ymin=-9, ymax=-1)), ('ymin and ymax -9 and -1',)),
    (xml(objects=obj('')), ('object 1', 'name')),
    (xml(objects=obj(difficult='maybe')), ('difficult', 'maybe')),
    (xml(objects='<object><name>x</name></object>'), ('(x)', 'bndbox')),
    (xml('a.jpg', 64, 48), ('size', '64 x 48', '40 x 30')),
    (xml('b.jpg'), ()),
]


def test_all_problems_are_told_at_once(voc: Path) -> None:
    (voc / 'train.json').touch()
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
    # p13 has the file name of b: by its own name its image is certain.
    assert f'{len(PROBLEMS) + 1} problems' in head
    assert len(lines) == len(PROBLEMS) + 1
    for number, (_, words) in enumerate(PROBLEMS):
        about = [line for line in lines if f'p{number:02}.xml' in line]
        assert len(about) == bool(words)
        assert all(word in line for line in about for word in words)
    for name, words in (
        ('no image', ("filename 'b.jpg'", 'no image')),
        ('c', ('c.jpg', 'cannot be read')),
    ):
        (line,) = (line for line in lines if f'{name}.xml' in line)
        assert all(word in line for word in words)
    assert not (voc / 'out').exists()


def test_two_images_that_could_be_meant(voc: Path) -> None:
    write_image(voc / 'JPEGImages' / 'a.png')
    assert convert(voc)[0]['images'][0]['file_name'] == 'a.jpg'
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
    with pytest.raises(RuntimeError, match=r'a\.xml: size: .*30 x 40 .*EXIF'):
        convert(voc)
    put(voc, xml(width=HEIGHT, height=WIDTH))
    assert convert(voc)[0]['images'][0]['width'] == HEIGHT


def test_lists_name_images_with_and_without_extension(voc: Path) -> None:
    names = voc / 'names.txt'
    names.write_text('\ufeffb.jpg\r\na\r\n\r\n', encoding='utf-8')
    content, _ = convert(voc, '--names', names)
    files = [i['file_name'] for i in content['images']]
    assert files == ['b.jpg', 'a.jpg']
    names.write_text('a\nd\n')
    with pytest.raises(RuntimeError, match=r'd\.xml: no such file'):
        convert(voc, '--names', names)


def test_what_no_class_and_no_folder_can_be(voc: Path) -> None:
    put(voc, xml(objects=obj('blot')))
    with pytest.raises(RuntimeError, match=r"name 'blot' of 1 .*--class"):
        convert(voc, '--classes', 'cell')
    put(voc, xml(objects=obj('Cell')))
    assert 'differ in case alone: cell' in convert(voc)[1]
    (voc / 'JPEGImages').rename(voc / 'images')
    with pytest.raises(RuntimeError, match=r'no image .*3 \.xml.*--images'):
        convert(voc)
    assert 'left out' not in convert(voc, '--images', voc / 'images')[1]
    with pytest.raises(RuntimeError, match='no folder'):
        convert(voc, '--images', voc / 'JPEGImages')
