"""The converters on small copies of the published layouts."""

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from converters import TOOLS, run
from mmpretrain.datasets import CustomDataset

from sce_mm.datasets import IMAGENET100_IDS, ImageNet1k, UnlabelledImages

pytestmark = pytest.mark.integration

IDS = ['n01443537', 'n01629819', 'n01641577']


def write_image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((4, 4, 3), np.uint8))


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """Tiny-ImageNet of three classes, two images each, one for validation."""
    (tmp_path / 'wnids.txt').write_text('\n'.join(reversed(IDS)) + '\n')
    lines = []
    for number, name in enumerate(IDS):
        for index in range(2):
            file = f'{name}_{index}.JPEG'
            write_image(tmp_path / 'train' / name / 'images' / file)
        (tmp_path / 'train' / name / f'{name}_boxes.txt').touch()
        file = f'val_{2 - number}.JPEG'
        write_image(tmp_path / 'val' / 'images' / file)
        lines.append(f'{file}\t{name}\t0\t32\t44\t62\n')
    (tmp_path / 'val' / 'val_annotations.txt').write_text(''.join(lines))
    return tmp_path


def test_tiny_imagenet_gets_lists_that_data_sets_read(tiny: Path) -> None:
    output = run('tiny_imagenet', tiny)
    assert 'train.txt: 6 images of 3 classes, 2 each' in output
    assert 'val.txt: 3 images of 3 classes, 1 each' in output
    for split, count in (('train', 6), ('val', 3)):
        dataset = CustomDataset(
            data_root=str(tiny),
            data_prefix=split,
            ann_file=f'meta/{split}.txt',
            metainfo={'classes': IDS},
        )
        assert len(dataset) == count
    infos = [dataset.get_data_info(i) for i in range(3)]
    files = [Path(info['img_path']).name for info in infos]
    assert files == ['val_2.JPEG', 'val_1.JPEG', 'val_0.JPEG']
    assert [info['gt_label'] for info in infos] == [0, 1, 2]


def test_a_damaged_tiny_imagenet_is_refused(tiny: Path) -> None:
    with pytest.raises(RuntimeError, match='expected the unpacked tiny-imag'):
        run('tiny_imagenet', tiny / 'train')
    (tiny / 'val' / 'images' / 'val_1.JPEG').unlink()
    with pytest.raises(RuntimeError, match=r'line 2: no file .*val_1\.JPEG'):
        run('tiny_imagenet', tiny)
    annotations = tiny / 'val' / 'val_annotations.txt'
    annotations.write_text('val_9.JPEG n01443537\n')
    with pytest.raises(RuntimeError, match=r'line 1: expected a file name'):
        run('tiny_imagenet', tiny)
    (tiny / 'wnids.txt').write_text(IDS[0])
    with pytest.raises(RuntimeError, match=f'not the classes .*{IDS[1]}'):
        run('tiny_imagenet', tiny)


@pytest.fixture
def imagenet(tmp_path: Path) -> Path:
    """Three classes of 9, 10 and 11 images; two are of ImageNet-100."""
    ids = ['n01440764', *IMAGENET100_IDS[:2]]
    for number, name in enumerate(ids):
        for index in range(9 + number):
            write_image(tmp_path / 'train' / name / f'{name}_{index}.JPEG')
    return tmp_path


def labels_of(path: Path) -> Counter[int]:
    return Counter(
        int(line.split()[1]) for line in path.read_text().splitlines()
    )


def test_shares_are_balanced_seeded_and_nested(imagenet: Path) -> None:
    train, meta = imagenet / 'train', imagenet / 'meta'
    contents = {}
    for name, share, seed in (
        ('small', 0.1, 0), ('again', 0.1, 0), ('other', 0.1, 1),
        ('large', 0.5, 0),
    ):  # fmt: skip
        out = meta / f'{name}.txt'
        output = run(
            'imagenet_subset', train, out, '--share', share, '--seed', seed
        )
        each = round(10 * share)
        assert f'{3 * each} images of 3 classes, {each} each' in output
        assert labels_of(out) == {0: each, 1: each, 2: each}
        contents[name] = set(out.read_text().splitlines())
    assert contents['small'] == contents['again'] != contents['other']
    assert contents['small'] < contents['large']
    dataset = ImageNet1k(str(imagenet), ann_file='meta/large.txt')
    assert Counter(dataset.get_gt_labels().tolist()) == {0: 5, 1: 5, 2: 5}


def test_a_list_of_file_names_finds_its_files(imagenet: Path) -> None:
    train, meta = imagenet / 'train', imagenet / 'meta'
    names = imagenet / '1percent.txt'
    names.write_text('n01692333_4.JPEG\nn01440764_7.JPEG\n')
    run('imagenet_subset', train, meta / 'a.txt', '--names', names)
    assert (meta / 'a.txt').read_text().splitlines() == [
        'n01440764/n01440764_7.JPEG 0',
        'n01692333/n01692333_4.JPEG 2',
    ]
    run('imagenet_subset', train, meta / 'b.txt', '--names', names, '--bare')
    dataset = UnlabelledImages(str(train), ann_file='../meta/b.txt')
    assert len(dataset) == 2
    names.write_text('n01692333_4.JPEG\nn01692333_99.JPEG\n')
    with pytest.raises(
        RuntimeError, match=r'1 are not: n01692333_99.* is there 0 times'
    ):
        run('imagenet_subset', train, meta / 'c.txt', '--names', names)


def test_classes_are_numbered_from_zero(imagenet: Path) -> None:
    train, out = imagenet / 'train', imagenet / 'some.txt'
    ids = imagenet / 'ids.txt'
    ids.write_text('n01692333\nn01558993\n')
    run('imagenet_subset', train, out, '--classes', ids, '--share', 0.3)
    assert labels_of(out) == {0: 3, 1: 3}
    assert out.read_text().startswith('n01558993/')
    with pytest.raises(RuntimeError, match='98 of 100 classes have no folder'):
        run(
            'imagenet_subset',
            *(train, imagenet / 'all.txt'),
            *('--classes', 'imagenet100'),
        )


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('--share', '0.01'), '0 images of each class: ask for a larger'),
        (('--share', '1'), 'n01440764 has 9 images, 10 are asked for'),
    ],
)
def test_what_cannot_be_chosen_is_refused(
    imagenet: Path, arguments: tuple[str, ...], message: str
) -> None:
    out = imagenet / 'out.txt'
    with pytest.raises(RuntimeError, match=message):
        run('imagenet_subset', imagenet / 'train', out, *arguments)
    assert not out.exists()


def test_hidden_and_empty_folders_are_no_classes(imagenet: Path) -> None:
    train, out = imagenet / 'train', imagenet / 'all.txt'
    for name in (
        'n01440764/._n01440764_0.JPEG',
        '@eaDir/n01440764_0.JPEG',
        'n01440764/.ipynb_checkpoints/a.JPEG',
        'beside.JPEG',
    ):
        write_image(train / name)
    (train / 'a_empty').mkdir()
    (train / 'b_notes').mkdir()
    (train / 'b_notes' / 'a.txt').touch()
    printed = run('imagenet_subset', train, out)
    assert '30 images of 3 classes, 9 to 11 each' in printed
    assert '2 folders without images' in printed
    assert 'a_empty, b_notes' in printed
    assert '1 images in no class folder, for example beside.JPEG' in printed
    assert labels_of(out) == {0: 9, 1: 10, 2: 11}
    assert '._' not in out.read_text()


def test_a_folder_without_classes_is_refused(tmp_path: Path) -> None:
    out = tmp_path / 'out.txt'
    with pytest.raises(RuntimeError, match=r'^no folder .*nope'):
        run('imagenet_subset', tmp_path / 'nope', out)
    (tmp_path / 'flat').mkdir()
    write_image(tmp_path / 'flat' / 'a.jpg')
    with pytest.raises(RuntimeError, match=r'all 1 images .* in no folder'):
        run('imagenet_subset', tmp_path / 'flat', out)


def test_every_converter_explains_itself() -> None:
    for path in TOOLS.glob('*.py'):
        if '__main__' in path.read_text():
            output = run(path.stem, '--help')
            assert f'python {path}' in output


@pytest.mark.parametrize('name', ['two\nlines.png', 'caf\udce9.png'])
def test_names_that_no_list_of_lines_holds(tmp_path, name):
    (tmp_path / 'train' / 'a').mkdir(parents=True)
    (tmp_path / 'train' / 'a' / name).touch()
    with pytest.raises(RuntimeError, match='rename it'):
        run(
            'imagenet_subset', tmp_path / 'train', tmp_path / 'list.txt',
            '--share', 1,
        )  # fmt: skip
    assert not (tmp_path / 'list.txt').exists()
