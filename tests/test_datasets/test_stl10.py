"""STL-10 from binary files in the published layout, made here."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from mmpretrain.registry import DATASETS

from sce_mm.datasets import STL10
from sce_mm.datasets.stl10 import SPLITS

COUNTS = {'unlabeled': 4, 'train': 3, 'test': 2}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A few images; the first byte of each is its number."""
    folder = tmp_path / 'stl10_binary'
    folder.mkdir()
    for split, count in COUNTS.items():
        monkeypatch.setitem(SPLITS, split, count)
        images = np.zeros((count, 3, 96, 96), np.uint8)
        images[:, 0, 0, 0] = range(count)
        # Red grows along a row (the third axis is the column), blue down.
        images[:, 0, 1:, :] = np.arange(1, 96)[:, None]
        images[:, 2, :, :] = np.arange(96) + 100
        images.tofile(folder / f'{split}_X.bin')
        labels = np.array([10, 1, 7, 3][:count], np.uint8)
        if split != 'unlabeled':
            labels.tofile(folder / f'{split}_y.bin')
    return tmp_path


@pytest.mark.parametrize('split', COUNTS)
def test_images_are_upright_and_bgr(root: Path, split: str) -> None:
    config = dict(type='STL10', data_root=str(root), split=split)
    dataset = DATASETS.build(config)
    assert len(dataset) == COUNTS[split]
    for number in range(len(dataset)):
        item = dataset[number]
        image = item['img']
        assert image.shape == (96, 96, 3)
        assert image.dtype == np.uint8
        assert image[0, 0, 2] == number
        assert (image[:, 5, 2] == 5).all()
        assert (image[7, :, 0] == 107).all()
        assert ('gt_label' in item) == (split != 'unlabeled')


def test_labels_count_from_zero_and_images_are_not_copied(root: Path) -> None:
    dataset = STL10(str(root), split='train')
    assert [dataset[i]['gt_label'] for i in range(3)] == [9, 0, 6]
    assert dataset.metainfo['classes'][9] == 'truck'
    pickled = pickle.dumps(dataset)
    assert len(pickled) < 96 * 96
    assert (pickle.loads(pickled)[2]['img'] == dataset[2]['img']).all()


def test_mistakes_are_named(root: Path) -> None:
    with pytest.raises(ValueError, match="unlabeled, train, test, got 'val'"):
        STL10(str(root), split='val')
    message = r'Nothing is downloaded: put stl10_binary\.tar\.gz from .* into'
    with pytest.raises(FileNotFoundError, match=message):
        STL10(str(root / 'elsewhere'))
    folder = root / 'stl10_binary'
    (folder / 'unlabeled_X.bin').write_bytes(b'short')
    with pytest.raises(ValueError, match=r'110592 bytes for 4 images, .* 5:'):
        STL10(str(root))
    np.array([0, 1, 2], np.uint8).tofile(folder / 'train_y.bin')
    with pytest.raises(ValueError, match='a label from 1 to 10 for each of 3'):
        STL10(str(root), split='train')
