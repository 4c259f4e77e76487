"""SVM, linear transfer and kNN of a classifier, from their command lines."""

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from evaluation_toys import build_model, toy_config
from mmengine.config import Config
from mmpretrain.registry import DATASETS, MODELS
from sklearn.datasets import load_digits
from voc_files import CLASSES, write_voc

from sce_mm.evaluation.images import crop_pipeline, image_features
from sce_mm.evaluation.protocols.linear_transfer import (
    METRICS,
    Part,
    linear_transfer,
)
from sce_mm.evaluation.protocols.linear_transfer_data import (
    build_parts,
    multi_hot,
    part_config,
)
from sce_mm.evaluation.protocols.linear_transfer_sets import (
    TRANSFER_SETS,
    transfer_set,
)
from sce_mm.evaluation.protocols.voc_svm import (
    LabelledFeatures,
    full_svm,
    low_shot_svm,
    normalised,
)

pytestmark = pytest.mark.integration


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Config, checkpoint, a small VOC and digits in two layouts."""
    root = tmp_path_factory.mktemp('tools')
    toy_config().dump(root / 'toy.py')
    state = build_model(8).state_dict()
    torch.save({'state_dict': state}, root / 'epoch_1.pth')
    write_voc(root / 'VOCdevkit')
    write_digits(root)
    return root


def write_digits(root: Path) -> None:
    """Digits 0 to 2 under ``listed`` and, without validation, ``folders``."""
    data = load_digits()
    chosen = np.flatnonzero(data.target < 3)[:90]
    parts = {'train': chosen[:40], 'val': chosen[40:60], 'test': chosen[60:]}
    for part, indices in parts.items():
        lines = []
        for index in indices:
            label = data.target[index]
            name = f'{part}/{label}/{index}.png'
            for layout in ('listed/images', 'folders'):
                if layout == 'folders' and part == 'val':
                    continue
                path = root / layout / name
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), data.images[index] * 15)
            lines.append(f'images/{name} {label}')
        (root / 'listed' / f'{part}.txt').write_text('\n'.join(lines))


@pytest.fixture
def run(root: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Call the main of a tool with words of a command line."""

    def call(tool: str, *words: object) -> None:
        path = root / 'tools' / 'benchmarks' / f'{tool}.py'
        spec = importlib.util.spec_from_file_location(f'{tool}_tool', path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        words = (*words, *(() if tool == 'knn' else ('--workers', 0)))
        monkeypatch.setattr(sys, 'argv', [tool, *map(str, words)])
        module.main()

    return call


@pytest.fixture(scope='module')
def voc(folder: Path) -> list[LabelledFeatures]:
    parts = []
    splits = {'train': 'trainval', 'test': 'test'}
    entry = TRANSFER_SETS['voc2007']._replace(splits=splits)
    built = build_parts(entry, folder, crop_pipeline(256, 224))
    for images in built.values():
        features = image_features(build_model(8), images, workers=0)
        parts.append(
            LabelledFeatures(normalised(features.numpy()), multi_hot(images))
        )
    return parts


def test_svm_of_a_checkpoint(folder, voc, run, tmp_path, capsys):
    out = tmp_path / 'svm.json'

    run(
        'svm', folder / 'toy.py', folder / 'epoch_1.pth',
        '--data', folder / 'VOCdevkit', '--low-shot', 1, 2, '--out', out,
    )  # fmt: skip

    (row,) = json.loads(out.read_text())
    train, test = voc
    # Difficult objects do not count: one class each, two images of it to test
    # on and twice as many to train on.
    assert train.targets.sum(axis=0).tolist() == [4] * 20
    assert test.targets.sum(axis=1).tolist() == [1] * 40
    assert row.pop('network') == str(folder / 'epoch_1.pth')
    assert row == {
        'C': 0.5,
        'k=1': pytest.approx(low_shot_svm(train, test, 1).mean),
        'k=2': pytest.approx(low_shot_svm(train, test, 2).mean),
        'full': pytest.approx(full_svm(train, test).mean),
    }
    printed = capsys.readouterr().out
    assert '40 test images of VOC 2007, 80 to train on' in printed


def test_best_of_several_costs_on_the_test_set_is_marked(
    folder, run, tmp_path
):
    words = (
        folder / 'toy.py', folder / 'epoch_1.pth',
        '--data', folder / 'VOCdevkit' / 'VOC2007', '--low-shot',
        '--costs', 1e-4, 1, '--out', tmp_path / 'svm.json',
    )  # fmt: skip

    run('svm', *words)
    rows = json.loads((tmp_path / 'svm.json').read_text())
    run('svm', *words, '--best-on-test')
    (best,) = json.loads((tmp_path / 'svm.json').read_text())

    assert [row['C'] for row in rows] == [1e-4, 1]
    assert rows[0]['full'] != rows[1]['full']
    winner = max(rows, key=lambda row: row['full'])
    assert best['C'] == 'best on test'
    assert best['full'] == winner['full']
    assert best['C of full'] == winner['C']


def test_linear_transfer_of_a_checkpoint(folder, run, tmp_path):
    out = tmp_path / 'transfer.json'

    run(
        'linear_transfer', folder / 'toy.py', folder / 'epoch_1.pth',
        '--data-root', folder, '--size', 64,
        '--datasets', 'listed', 'folders', 'voc2007', '--out', out,
    )  # fmt: skip

    rows = json.loads(out.read_text())
    trained = {row['data set']: row for row in rows}
    assert list(trained) == ['listed', 'folders', 'VOC 2007', 'average']
    assert {row['network'] for row in rows} == {str(folder / 'epoch_1.pth')}
    for name in ('listed', 'folders'):
        parts = {
            part: part_of(folder, name, part)
            for part in ('train', 'val', 'test')
        }
        expected = linear_transfer(**rename(parts), metric=METRICS[0])
        row = trained[name]
        assert row['score'] == pytest.approx(expected.score)
        assert row['wd'] == expected.penalty
        assert row['metric'] == 'top-1'
        # Real digits, features of random weights.
        assert row['score'] > 60
    assert trained['VOC 2007']['metric'] == '11-point mAP'
    scores = [row['score'] for row in rows[:3]]
    assert trained['average']['score'] == pytest.approx(np.mean(scores))


def part_of(folder: Path, name: str, part: str) -> Part | None:
    pipeline = crop_pipeline(64, 64, 'bicubic')
    images = build_parts(transfer_set(name), folder, pipeline).get(part)
    if images is None:
        return None
    features = image_features(build_model(8), images, workers=0).numpy()
    return Part(features, np.array(images.get_gt_labels()))


def rename(parts: dict[str, Part | None]) -> dict[str, Part | None]:
    return {
        'train': parts['train'],
        'validation': parts['val'],
        'test': parts['test'],
    }


def test_folders_without_validation_part_have_none(folder):
    assert part_of(folder, 'folders', 'val') is None
    assert part_of(folder, 'listed', 'val') is not None


def test_table_of_the_eleven_is_printed(run, capsys):
    with pytest.raises(SystemExit) as stopped:
        run('linear_transfer', '--list')

    assert stopped.value.code == 0
    printed = capsys.readouterr().out
    assert len(TRANSFER_SETS) == 11
    for entry in TRANSFER_SETS.values():
        (line,) = (x for x in printed.splitlines() if f' {entry.title} ' in x)
        assert str(entry.classes) in line
        assert entry.metric in line


def test_knn_takes_the_data_of_a_classifier(folder, run, root, tmp_path):
    config = root / 'configs' / 'sce' / 'benchmarks'
    name = 'resnet18_sce-pre_1xb256-linear-steplr-100e_tinyimagenet.py'
    weights = tmp_path / 'backbone.pth'
    model = Config.fromfile(config / name).model
    narrow = dict(base_channels=4, stem_channels=4)
    state = MODELS.build(model.backbone | narrow).state_dict()
    torch.save({'state_dict': state}, weights)
    data = folder / 'folders'

    run(
        'knn', config / name, weights, '--k', 1, 5,
        '--out', tmp_path / 'knn.json', '--cfg-options',
        'model.backbone.base_channels=4', 'model.backbone.stem_channels=4',
        *(
            f'{loader}_dataloader.dataset.{key}={value}'
            for loader in ('train', 'val')
            for key, value in (
                ('data_root', data),
                ('data_prefix', 'train'),
                ('ann_file', "''"),
            )
        ),
        'val_dataloader.batch_size=8', 'val_dataloader.num_workers=0',
        'val_dataloader.persistent_workers=False',
    )  # fmt: skip

    (row,) = json.loads((tmp_path / 'knn.json').read_text())
    # Each query is in the bank itself, and was not augmented there.
    assert row['knn_top1_k1'] == 100
    assert 0 <= row['knn_top1_k5'] <= 100


def test_mistakes_are_explained(folder, run, tmp_path):
    known = folder / 'toy.py', folder / 'epoch_1.pth'
    with pytest.raises(FileNotFoundError, match='no VOC 2007 at'):
        run('svm', *known, '--data', tmp_path)
    with pytest.raises(FileNotFoundError, match=r'expected train\.txt and'):
        run('linear_transfer', *known, '--data-root', tmp_path)
    with pytest.raises(FileNotFoundError, match='layout of DTD of mmpretrain'):
        run(
            'linear_transfer', *known,
            '--data-root', tmp_path, '--datasets', 'dtd',
        )  # fmt: skip
    (tmp_path / 'dtd').mkdir()
    for part in ('train', 'test'):
        lines = (folder / 'listed' / f'{part}.txt').read_text()
        (tmp_path / 'dtd' / f'{part}.txt').write_text(lines)
    with pytest.raises(ValueError, match=r'dtd has 3 classes .* DTD has 47'):
        run(
            'linear_transfer', *known,
            '--data-root', tmp_path, '--datasets', 'dtd',
        )  # fmt: skip
    with pytest.raises(ValueError, match='at most the resized side'):
        crop_pipeline(100, 200)


def test_a_part_with_unknown_classes_is_refused(folder, run, tmp_path):
    train = (folder / 'listed' / 'train.txt').read_text().splitlines()
    for part, lines in (('train', train), ('test', [train[0][:-1] + '7'])):
        path = tmp_path / 'own' / f'{part}.txt'
        path.parent.mkdir(exist_ok=True)
        path.write_text('\n'.join(lines))
    with pytest.raises(ValueError, match=r'test part of own .* lacks: \[7\]'):
        run(
            'linear_transfer', folder / 'toy.py', folder / 'epoch_1.pth',
            '--data-root', tmp_path, '--datasets', 'own',
        )  # fmt: skip


def test_classes_of_the_small_voc_are_the_twenty():
    assert len(CLASSES) == 20


@pytest.mark.parametrize('name', TRANSFER_SETS)
def test_data_sets_of_the_table_are_known_with_their_splits(name, tmp_path):
    entry = TRANSFER_SETS[name]
    (tmp_path / entry.folder).mkdir(parents=True)
    cls = DATASETS.get(entry.dataset['type'])
    for part in ('train', 'val', 'test'):
        config = part_config(entry, tmp_path, part, [])
        assert (config is None) == (part not in entry.splits)
        # Of an empty folder the files are missed, not the split.
        with pytest.raises((FileNotFoundError, RuntimeError)):
            cls(
                data_root=str(tmp_path / entry.folder),
                split=entry.splits.get(part, 'test'),
            )
    classes = cls.METAINFO.get('classes')
    assert classes is None or len(classes) == entry.classes
