"""``sce features``: a row for each image, the same in every kind of table."""

import csv
import sys

import numpy as np
import pytest
import torch
from evaluation_toys import build_model, save_checkpoint
from image_files import write_noise
from networks import trained_network
from transfer_files import pretraining

from sce_mm.cli.commands import features
from sce_mm.evaluation import feature_files, image_features
from sce_mm.evaluation.images import crop_pipeline, read_folder
from sce_mm.transfer import (
    CheckpointError,
    extract_backbone,
    save_backbone,
)
from sce_mm.utils.errors import MissingPackageError

PIXELS = {
    'channel_order': 'rgb',
    'mean': [123.675, 116.28, 103.53],
    'std': [58.395, 57.12, 57.375],
}
SIZES = ['--crop', '32', '--batch-size', '3', '--workers', '0']


@pytest.fixture(scope='module')
def photos(tmp_path_factory):
    """Two class folders of five images each, one of which is broken."""
    folder = tmp_path_factory.mktemp('photos')
    write_noise(folder, 10)
    for kind, numbers in (('wolf', range(5)), ('bear', range(5, 10))):
        (folder / kind).mkdir()
        for i in numbers:
            (folder / f'{i}.png').rename(folder / kind / f'{i}.png')
    (folder / 'bear' / '6.png').write_bytes(b'not an image')
    return folder


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp('run') / 'epoch_1.pth'
    return save_checkpoint(path, **PIXELS)


def rows_of(path):
    with path.open(newline='') as file:
        return list(csv.reader(file))


def test_a_row_is_an_image_and_its_features_are_those_of_the_model(
    photos, checkpoint, tmp_path, monkeypatch, capsys
):
    # Text is written some rows at a time: 64 features a row.
    monkeypatch.setattr(feature_files, '_AT_ONCE', 130)
    table, text = tmp_path / 'new' / 'a.npz', tmp_path / 'a.CSV'
    for out in (table, text):
        words = [str(checkpoint), str(out), '--data', str(photos), *SIZES]
        features.main(words)
    assert '9 images of 10, 64 features each, 2 classes' in (
        capsys.readouterr().out
    )

    names = [f'bear/{i}.png' for i in (5, 7, 8, 9)]
    names += [f'wolf/{i}.png' for i in range(5)]
    found = np.load(table)
    assert found['files'].tolist() == names
    assert found['classes'][found['labels']].tolist() == [
        name.split('/')[0] for name in names
    ]

    (photos / 'bear' / '6.png').rename(tmp_path / 'broken.png')
    images = read_folder(str(photos), crop_pipeline(32, 32), labelled=False)
    (tmp_path / 'broken.png').rename(photos / 'bear' / '6.png')
    expected = image_features(build_model(8), images.dataset, 3, 0)
    torch.testing.assert_close(torch.tensor(found['features']), expected)

    heading, *rows = rows_of(text)
    assert heading == ['file', 'class', *(f'f{i}' for i in range(64))]
    assert [row[:2] for row in rows] == [
        [name, name.split('/')[0]] for name in names
    ]
    numbers = np.array([row[2:] for row in rows]).astype(np.float32)
    assert np.array_equal(numbers, found['features'])


def test_sub_folders_need_not_be_classes(photos, checkpoint, tmp_path):
    out = tmp_path / 'a.npz'
    words = [str(checkpoint), str(out), '--data', str(photos), *SIZES]
    features.main([*words, '--no-labels'])
    assert np.load(out).files == ['files', 'features']
    with pytest.raises(FileExistsError, match='--overwrite'):
        features.main(words)
    features.main([*words, '--overwrite'])
    assert 'labels' in np.load(out).files


def test_pixels_that_are_not_known_are_refused(photos, tmp_path):
    checkpoint = save_checkpoint(tmp_path / 'a.pth')
    words = [str(checkpoint), str(tmp_path / 'a.npz'), '--data', str(photos)]
    with pytest.raises(CheckpointError, match=r'channel_order.*--imagenet'):
        features.main(words)
    assert not (tmp_path / 'a.npz').exists()


def test_a_table_that_cannot_be_written_is_refused_at_once(monkeypatch):
    monkeypatch.setitem(sys.modules, 'pyarrow.parquet', None)
    with pytest.raises(MissingPackageError, match='pip install pyarrow, or'):
        features.main(['absent.pth', 'a.parquet', '--data', '.'])


def test_parquet_has_the_columns_of_the_text(photos, checkpoint, tmp_path):
    parquet = pytest.importorskip('pyarrow.parquet')
    out = tmp_path / 'a.parquet'
    for path in (out, tmp_path / 'a.csv'):
        words = [str(checkpoint), str(path), '--data', str(photos), *SIZES]
        features.main(words)
    table = parquet.read_table(out)
    heading, *rows = rows_of(tmp_path / 'a.csv')
    assert table.column_names == heading
    assert table['file'].to_pylist() == [row[0] for row in rows]
    found = np.array([table[f'f{i}'].to_numpy() for i in range(64)]).T
    assert np.array_equal(
        found, np.array([row[2:] for row in rows]).astype(np.float32)
    )


def test_a_network_that_no_tensor_shows_is_that_of_a_config(photos, tmp_path):
    network = trained_network('mobilenet')
    path, out = tmp_path / 'backbone.pth', tmp_path / 'features.npz'
    checkpoint = pretraining(network.state_dict(), arch='MobileNetV2')
    save_backbone(path, extract_backbone(checkpoint))
    config = tmp_path / 'config.py'
    config.write_text(
        "model = dict(backbone=dict(type='MobileNetV2', widen_factor=0.25))\n"
        "default_scope = 'mmpretrain'"
    )
    words = [str(path), str(out), '--data', str(photos), *SIZES]
    with pytest.raises(CheckpointError, match='--network CONFIG'):
        features.main(words)
    features.main([*words, '--network', str(config)])
    assert np.load(out)['features'].shape == (9, 1280)
