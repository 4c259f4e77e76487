"""UnlabelledImages: files, replacements, and when a run must stop."""

from pathlib import Path
from typing import Any

import pytest
from image_files import encode, photo
from mmengine.dataset import ConcatDataset, RepeatDataset
from mmpretrain.registry import DATASETS

from sce_mm.datasets import SampleIndex, UnlabelledImages
from sce_mm.utils.errors import UserError

LOAD = [dict(type='LoadImage')]


def fill(root: Path, good: int, bad: int = 0) -> Path:
    """``good`` images and ``bad`` files that are none."""
    root.mkdir(exist_ok=True)
    for number in range(good):
        turned = photo().rotate(7 * number)
        (root / f'good{number:03}.png').write_bytes(encode(turned, 'PNG'))
    for number in range(bad):
        (root / f'bad{number:03}.jpg').write_bytes(b'no image')
    return root


def build(root: Path, **options: Any) -> UnlabelledImages:
    config = dict(
        type='UnlabelledImages', data_root=str(root), pipeline=LOAD, **options
    )
    dataset = DATASETS.build(config)
    assert isinstance(dataset, UnlabelledImages)
    return dataset


def read_all(dataset: UnlabelledImages) -> list[Any]:
    return [dataset[index] for index in range(len(dataset))]


def test_an_item_is_an_image_and_no_label(tmp_path: Path) -> None:
    dataset = build(fill(tmp_path, 3))
    item = dataset[SampleIndex(1, 0, 0)]
    keys = {'img', 'img_path', 'img_shape', 'ori_shape', 'sample_idx'}
    assert set(item) == keys
    assert item['img_path'] == str(tmp_path / 'good001.png')
    assert isinstance(item['sample_idx'], SampleIndex)


def test_folders_lists_and_parts_of_them(tmp_path: Path) -> None:
    later = build(tmp_path / 'x', lazy_init=True)
    first, second = fill(tmp_path / 'x', 2), fill(tmp_path / 'y', 3)
    assert len(read_all(later)) == 2
    both = UnlabelledImages([str(first), str(second)], pipeline=LOAD)
    assert len(both) == 5
    assert both[4]['img_path'] == str(second / 'good002.png')
    (second / 'list.txt').write_text('good001.png\n')
    assert len(build(second, ann_file='list.txt')) == 1
    assert len(build(second, ann_file=str(second / 'list.txt'))) == 1
    assert len(build(second, indices=2)) == 2


def test_wrappers_keep_the_index_of_the_sampler(tmp_path: Path) -> None:
    one, two = build(fill(tmp_path / 'x', 2)), build(fill(tmp_path / 'y', 2))
    joined = ConcatDataset([one, two])
    assert joined[SampleIndex(3, 1, 9)]['sample_idx'].origin == 3
    repeated = RepeatDataset(one, times=3)
    index = repeated[SampleIndex(5, 1, 9)]['sample_idx']
    assert (index, index.origin, index.epoch, index.seed) == (1, 5, 1, 9)


def test_a_broken_image_is_replaced_in_the_same_way_each_time(
    tmp_path: Path,
) -> None:
    fill(tmp_path, 30, bad=3)

    def paths(epoch: int) -> list[str]:
        dataset = build(tmp_path)
        items = [dataset[SampleIndex(i, epoch, 7)] for i in range(33)]
        assert all(
            item['sample_idx'].origin == i for i, item in enumerate(items)
        )
        return [item['img_path'] for item in items]

    first = paths(0)
    assert first == paths(0)
    assert not any('bad' in path for path in first)
    assert first[3:] == [str(tmp_path / f'good{i:03}.png') for i in range(30)]
    assert first[:3] != paths(1)[:3]


def test_a_plain_index_and_a_file_that_vanishes_have_replacements(
    tmp_path: Path,
) -> None:
    dataset = build(fill(tmp_path, 9, bad=1))
    (tmp_path / 'good004.png').unlink()
    for index in (0, 5):
        item = dataset[index]
        assert Path(item['img_path']).is_file()
        assert 'good' in item['img_path']
        assert type(item['sample_idx']) is int


@pytest.mark.parametrize(
    ('good', 'bad', 'options', 'message'),
    [
        (
            0,
            3,
            {},
            r'none of 3 images tried .*bad000.jpg \(not an .*\), .*bad001',
        ),
        (30, 40, {}, r'more than max_unreadable=0\.5(.|\n)*and \d+ more'),
        (2, 2, {'test_mode': True}, r'cannot read .*bad000.*in testing'),
        (20, 40, {'max_unreadable': 1.0}, ''),
    ],
)
def test_too_many_broken_images_end_the_run(
    tmp_path: Path, good: int, bad: int, options: dict, message: str
) -> None:
    dataset = build(fill(tmp_path, good, bad), **options)
    if message:
        with pytest.raises(UserError, match=message):
            read_all(dataset)
    else:
        assert len(read_all(dataset)) == good + bad


def test_subsets_work(tmp_path: Path) -> None:
    dataset = build(fill(tmp_path, 6, bad=1))
    subset = dataset.get_subset([0, 2, 2])
    assert len(subset) == 3
    assert 'good' in subset[0]['img_path']
    # Changes of the pipeline of one do not reach the other.
    subset.pipeline.transforms.clear()
    assert 'img' not in subset[1]
    assert 'img' in dataset[1]
    dataset.get_subset_(2)
    assert len(dataset) == 2
    assert dataset[1]['img_path'] == str(tmp_path / 'good000.png')


@pytest.mark.parametrize(
    ('options', 'error', 'message'),
    [
        ({}, ValueError, r'needs data_root .* or ann_file .*got neither'),
        (
            dict(data_root=['a', 'b'], ann_file='c.txt'),
            ValueError,
            'ann_file goes with one data_root, got 2',
        ),
        (
            dict(data_root='x', max_unreadable=2),
            ValueError,
            r'max_unreadable must be a number in \[0, 1\], got 2',
        ),
        (dict(data_root='x', data_rot=1), TypeError, 'data_rot'),
    ],
)
def test_mistakes_are_named(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        UnlabelledImages(**options)
