"""ImageNet and its 100 classes on folders in the published layout."""

from pathlib import Path

import pytest
from image_files import encode, photo
from mmpretrain.registry import DATASETS

from sce_mm.datasets import IMAGENET100_IDS, ImageNet1k, ImageNet100
from sce_mm.utils.errors import UserError

LOAD = [dict(type='LoadImage')]
OTHERS = [f'n{number:08}' for number in (1440764, 99999999)]


def fill(root: Path, classes: list[str], per_class: int = 2) -> Path:
    data = encode(photo().resize((8, 8)), 'JPEG')
    for name in classes:
        (root / name).mkdir(parents=True)
        for number in range(per_class):
            file = f'{Path(name).name}_{number}.JPEG'
            (root / name / file).write_bytes(data)
    return root


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The 100 classes among others, in both splits."""
    folder = tmp_path_factory.mktemp('imagenet')
    for split, count in (('train', 2), ('val', 1)):
        fill(folder / split, [*IMAGENET100_IDS, *OTHERS], count)
    return folder


@pytest.mark.parametrize(('split', 'count'), [('train', 2), ('val', 1)])
def test_the_list_of_classes_holds_for_every_split(
    root: Path, split: str, count: int
) -> None:
    config = dict(type='ImageNet100', data_root=str(root), split=split)
    dataset = DATASETS.build({**config, 'pipeline': LOAD})
    assert len(dataset) == 100 * count
    for info in map(dataset.get_data_info, range(len(dataset))):
        folder = Path(info['img_path']).parent.name
        assert info['gt_label'] == IMAGENET100_IDS.index(folder)
    assert dataset.metainfo['classes'] == IMAGENET100_IDS
    assert dataset[0]['img'].shape == (8, 8, 3)


def test_a_list_of_paths_is_cut_to_the_classes(
    root: Path, tmp_path: Path
) -> None:
    names = [OTHERS[0], IMAGENET100_IDS[7], IMAGENET100_IDS[3]]
    lines = [f'{n}/{n}_0.JPEG {900 + i}' for i, n in enumerate(names)]
    listed = tmp_path / 'some.txt'
    listed.write_text('\n'.join(lines))
    dataset = ImageNet100(str(root), ann_file=str(listed))
    assert dataset.get_gt_labels().tolist() == [7, 3]


def test_a_flat_folder_takes_its_classes_from_the_training_folders(
    tmp_path: Path,
) -> None:
    extra = [f'n9{number:07}' for number in range(900)]
    ids = sorted([*IMAGENET100_IDS, *extra])
    fill(tmp_path / 'train', ids, 0)
    (tmp_path / 'meta').mkdir()
    wanted = ids.index(IMAGENET100_IDS[42])
    (tmp_path / 'val').mkdir()
    (tmp_path / 'meta/val.txt').write_text(f'a.JPEG {wanted}\nb.JPEG 950\n')
    dataset = ImageNet100(str(tmp_path), split='val')
    assert dataset.get_gt_labels().tolist() == [42]
    (tmp_path / 'train' / extra[0]).rmdir()
    with pytest.raises(ValueError, match=r'1000 class folders .* has 999'):
        ImageNet100(str(tmp_path), split='val')


@pytest.mark.parametrize('split', ['train', 'test'])
def test_hidden_and_system_files_are_no_images_and_no_classes(
    tmp_path: Path, split: str
) -> None:
    folder = fill(tmp_path / split, OTHERS)
    for name in ('__MACOSX', f'{OTHERS[0]}/.ipynb_checkpoints'):
        fill(folder, [name])
    (folder / OTHERS[0] / f'._{OTHERS[0]}_0.JPEG').touch()
    dataset = ImageNet1k(str(tmp_path), split, classes=OTHERS)
    infos = [dataset.get_data_info(index) for index in range(len(dataset))]
    assert len(infos) == 4
    for info in infos if split == 'train' else ():
        place = OTHERS.index(Path(info['img_path']).parent.name)
        assert info['gt_label'] == place


def test_missing_folders_and_classes_are_named(tmp_path: Path) -> None:
    message = r'no folder .*train.*not downloaded: get ILSVRC2012 .*n01440764'
    with pytest.raises(FileNotFoundError, match=message):
        ImageNet1k(str(tmp_path))
    fill(tmp_path / 'train', [*OTHERS, *IMAGENET100_IDS[2:]])
    with pytest.raises(ValueError, match=r'100 class folders .* names 1000'):
        ImageNet1k(str(tmp_path))
    # One of the folders that lack is there and empty.
    fill(tmp_path / 'train', list(IMAGENET100_IDS[:1]), per_class=0)
    message = r'2 of the 100 classes .*n01558993, n01692333\. Each is a folder'
    with pytest.raises(FileNotFoundError, match=message):
        ImageNet100(str(tmp_path))


def test_a_broken_image_is_replaced_in_training_alone(tmp_path: Path) -> None:
    options = dict(classes=OTHERS, pipeline=LOAD, max_unreadable=0.5)
    for split in ('train', 'val'):
        folder = fill(tmp_path / split, OTHERS, 3) / OTHERS[1]
        (folder / f'{OTHERS[1]}_1.JPEG').write_bytes(b'no image')
    train = ImageNet1k(str(tmp_path), **options)
    assert len(train) == 6
    assert 'no image' not in Path(train[4]['img_path']).read_text('latin1')
    assert train[0]['gt_label'] == 0
    val = ImageNet1k(str(tmp_path), split='val', **options)
    with pytest.raises(UserError, match=r'cannot read .*_1\.JPEG'):
        val[4]


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        ('../val/a.JPEG 0', r'leads out of .*train'),
        # A bare name, as in SimCLR's lists.
        ('n01440764_1.JPEG', 'a blank and the .*imagenet-subset'),
    ],
)
def test_lines_that_a_list_cannot_have(
    root: Path, tmp_path: Path, line: str, message: str
) -> None:
    good = f'{IMAGENET100_IDS[0]}/a..b.JPEG 0\n'
    listed = tmp_path / 'some.txt'
    listed.write_text(good)
    assert len(ImageNet1k(str(root), ann_file=str(listed))) == 1
    listed.write_text(good + line)
    with pytest.raises(ValueError, match=message):
        ImageNet1k(str(root), ann_file=str(listed))
