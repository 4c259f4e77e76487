"""CIFAR from files in the published layout, made here."""

from pathlib import Path

import numpy as np
import pytest
from image_files import write_cifar
from mmpretrain.registry import DATASETS

from sce_mm.datasets import CIFAR10BGR, CIFAR100BGR

# First channel of the file is red.
RED, BLUE = (250, 20, 10), (10, 20, 250)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two training images, three for testing, of both data sets."""
    for cls, key in ((CIFAR10BGR, 'labels'), (CIFAR100BGR, 'fine_labels')):
        for split, colours in (
            ('train', [RED, BLUE]),
            ('test', [BLUE, BLUE, RED]),
        ):
            monkeypatch.setattr(cls, f'{split}_list', [[split, None]])
            path = tmp_path / cls.base_folder / split
            write_cifar(path, colours, key)
    return tmp_path


@pytest.mark.parametrize('name', ['CIFAR10BGR', 'CIFAR100BGR'])
def test_images_are_bgr_and_contiguous(root: Path, name: str) -> None:
    config = dict(type=name, data_root=str(root))
    train = DATASETS.build({**config, 'split': 'train'})
    test = DATASETS.build({**config, 'split': 'test'})
    assert (len(train), len(test)) == (2, 3)
    for item, colour in ((train[0], RED), (train[1], BLUE), (test[2], RED)):
        assert item['img'].shape == (32, 32, 3)
        assert item['img'].dtype == np.uint8
        assert item['img'].flags.c_contiguous
        assert (item['img'] == colour[::-1]).all()
    assert [test[i]['gt_label'] for i in range(3)] == [0, 1, 2]
    classes = len(train.metainfo['classes'])
    assert classes == (10 if name == 'CIFAR10BGR' else 100)


def test_a_missing_file_is_told_where_it_belongs(root: Path) -> None:
    (root / CIFAR10BGR.base_folder / 'test').unlink()
    message = (
        r"no file '.*cifar-10-batches-py/test'.*Nothing is downloaded: put "
        r'cifar-10-python\.tar\.gz from https://.* into .* unpack it there'
    )
    with pytest.raises(FileNotFoundError, match=message):
        CIFAR10BGR(str(root))


def test_a_file_that_is_not_the_published_one_is_refused(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CIFAR10BGR, 'train_list', [['train', 'c99cafc1']])
    with pytest.raises(ValueError, match=r'not the published file.*c99cafc1'):
        CIFAR10BGR(str(root))
