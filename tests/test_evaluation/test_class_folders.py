"""Class folders are compared by name, and no image stands in for another."""

import copy
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from evaluation_toys import (
    build_model,
    run_tool,
    save_checkpoint,
    toy_config,
)
from mmengine.config import Config
from mmengine.dataset import ConcatDataset, RepeatDataset
from mmpretrain.registry import DATASETS
from torch.utils.data import DataLoader, Subset

from sce_mm.cli.runner import build_runner
from sce_mm.datasets import LabelledImages
from sce_mm.datasets.labelled_images import share_labels
from sce_mm.evaluation import extract_features
from sce_mm.evaluation.loaders import build_labelled_loaders
from sce_mm.evaluation.samples import NoReplacement, collate
from sce_mm.utils.errors import UserError

COLOURS = {'a': (200, 30, 30), 'b': (30, 200, 30), 'c': (30, 30, 200)}
PIPELINE = [{'type': 'LoadImage'}, {'type': 'PackInputs'}]
HIDDEN = (
    '.ipynb_checkpoints/1.png',
    '@eaDir/1.png',
    '__MACOSX/1.png',
    '$RECYCLE.BIN/1.png',
    'b/._1.png',
    'b/.ipynb_checkpoints/1.png',
)


def write(root: Path, classes: str, count: int = 4) -> Path:
    """Folders of images of one colour each."""
    random = np.random.default_rng(len(str(root)))
    for name in classes:
        (root / name).mkdir(parents=True)
        for index in range(count):
            noise = random.integers(-20, 20, (32, 32, 3))
            image = (noise + COLOURS.get(name, (90, 90, 90))).astype(np.uint8)
            cv2.imwrite(str(root / name / f'{index}.png'), image)
    return root


def litter(root: Path) -> None:
    """What file servers, notebooks and archives leave, with an image each."""
    for name in HIDDEN:
        path = root / name
        path.parent.mkdir(exist_ok=True, parents=True)
        shutil.copy(root / 'b' / '0.png', path)
    (root / '0-empty').mkdir()


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Bank of a, b, c and queries of b, c, with litter in both."""
    bank = write(tmp_path / 'train', 'abc', 6)
    query = write(tmp_path / 'test', 'bc')
    for root in (bank, query):
        litter(root)
    return bank, query


def config_of(root: Path, **options: Any) -> dict[str, Any]:
    return {
        'type': 'CustomDataset',
        'data_root': str(root),
        'pipeline': PIPELINE,
        **options,
    }


def loader_of(root: Path, **options: Any) -> dict[str, Any]:
    dataset = config_of(root, **options)
    return {'batch_size': 4, 'num_workers': 0, 'dataset': dataset}


def labels_of(dataset: Any) -> set[tuple[str, int]]:
    """Folder and label of every image."""
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    return {(Path(x['img_path']).parent.name, x['gt_label']) for x in infos}


def test_hidden_and_empty_folders_are_no_classes(folders):
    images = LabelledImages(data_root=str(folders[0]), pipeline=PIPELINE)

    assert images.CLASSES == ('a', 'b', 'c')
    assert labels_of(images) == {('a', 0), ('b', 1), ('c', 2)}
    assert len(images) == 18


def test_links_bring_no_image_twice_and_none_of_another_class(folders):
    root = folders[0]
    before = labels_of(LabelledImages(data_root=str(root)))
    (root / 'a' / 'all').symlink_to('..')
    (root / 'a' / 'other').symlink_to('../b')
    more = write(root.with_name('more'), 'a', 2) / 'a'
    (root / 'a' / 'more').symlink_to(more)
    (root / 'a' / 'again').symlink_to(more)

    images = LabelledImages(data_root=str(root))

    assert len(images) == 20
    assert len(labels_of(images) - before) == 1


@pytest.mark.parametrize(
    ('classes', 'labels'),
    [
        # They name the folders, or are shown for them.
        (['c', 'b', 'x'], {('c', 0), ('b', 1)}),
        (['dog', 'cat'], {('b', 0), ('c', 1)}),
    ],
)
def test_labels_follow_the_classes_that_are_given(folders, classes, labels):
    images = LabelledImages(data_root=str(folders[1]), classes=classes)

    assert labels_of(images) == labels


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (dict(folders=['a', 'b']), ('c', 'a, b', 'names of their folders')),
        (dict(classes=['dog']), ('2 class folders', 'b, c', '1 (dog)')),
        (dict(data_prefix='b'), ('no image in class folders',)),
    ],
)
def test_folders_that_do_not_fit_are_named(folders, options, words):
    with pytest.raises((ValueError, OSError)) as caught:
        LabelledImages(data_root=str(folders[1]), **options)
    for word in words:
        assert word in str(caught.value)


def test_labels_are_shared_within_wrappers(folders):
    train, test = map(config_of, folders)
    train = {'type': 'RepeatDataset', 'times': 2, 'dataset': train}
    test = {'type': 'ConcatDataset', 'datasets': [test, test.copy()]}

    share_labels(train, test)

    train, test = map(DATASETS.build, (train, test))
    assert train.metainfo['classes'] == test.metainfo['classes']
    assert labels_of(train) == {('a', 0), ('b', 1), ('c', 2)}
    assert labels_of(test) == {('b', 1), ('c', 2)}


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., dict]:
    """Call a tool with a checkpoint; gives the row of results."""
    toy_config().dump(tmp_path / 'toy.py')
    save_checkpoint(tmp_path / 'last.pth')

    def call(tool: str, *words: object) -> dict:
        out = tmp_path / 'out.json'
        run_tool(
            f'benchmarks/{tool}', tmp_path / 'toy.py', tmp_path / 'last.pth',
            *words, '--workers', 0, '--out', out,
        )  # fmt: skip
        (row,) = json.loads(out.read_text())
        return row

    return call


@pytest.mark.integration
@pytest.mark.parametrize(
    ('tool', 'column'),
    [('knn', 'knn_top1_k9'), ('linear_probe', 'linear_top1')],
)
def test_two_folders_on_the_command_line(folders, run, capsys, tool, column):
    bank, query = folders
    for name in ('0.png', '1.png'):
        (query / 'b' / name).write_bytes(b'')

    row = run(tool, '--bank', bank, '--query', query, '--crop', 32)

    # This is about labels, not about whether colours are distinguished.
    assert row[column] == 100
    (heading,) = re.findall('.*top-1.*', capsys.readouterr().out)
    assert {'18', '6'} <= set(re.findall(r'\d+', heading))


@pytest.mark.integration
def test_linear_transfer_of_folders(folders, run):
    root = folders[0].parent
    row = run(
        'linear_transfer', '--data-root', root.parent, '--datasets', root.name
    )
    assert row['score'] == 100


@pytest.mark.integration
@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (('--bank', 'test', '--query', 'train'), ('query', 'a', 'b, c')),
        (('--bank', 'train'), ('--query',)),
        (('--bank', 'test/b', '--query', 'test'), ('no image in class',)),
    ],
)
def test_mistakes_with_two_folders(folders, run, words, message):
    root = folders[0].parent
    words = [x if x.startswith('--') else root / x for x in words]
    with pytest.raises((ValueError, OSError)) as caught:
        run('knn', *words, '--crop', 32)
    for word in message:
        assert word in str(caught.value)


def test_classes_of_lists_and_folders_are_compared(folders):
    bank, query = folders
    (query / 'list.txt').write_text('b/0.png 0\nc/0.png 1\n')
    listed = loader_of(query, ann_file='list.txt', classes=['b', 'c'])
    with pytest.raises(ValueError, match='a, b, c against b, c'):
        build_labelled_loaders(loader_of(bank), listed, 0)


def test_an_unreadable_image_is_none_in_every_wrapper(folders):
    (folders[1] / 'b' / '1.png').write_bytes(b'no image')
    built = LabelledImages(data_root=str(folders[1]), pipeline=PIPELINE)
    again = len(built) + 1
    for dataset, place in (
        (built, 1),
        (RepeatDataset(built, 2), again),
        (ConcatDataset([built, built]), again),
        (Subset(built, [0, 1]), 1),
    ):
        images = NoReplacement(dataset)
        assert images[place] is None
        assert images[0] is not None
        assert images.path(place).endswith('b/1.png')


@pytest.mark.parametrize('broken', [[0, 1, 2, 3], [2, 7]])
def test_features_are_those_of_the_images_that_can_be_read(folders, broken):
    dataset = DATASETS.build(config_of(folders[1]))
    model = build_model()
    loader = DataLoader(dataset, 2, collate_fn=collate)
    expected, labels = extract_features(model, loader)
    for index in broken:
        Path(dataset.get_data_info(index)['img_path']).write_bytes(b'')
    kept = [i for i in range(len(dataset)) if i not in broken]

    features, found = extract_features(model, loader)

    assert found.tolist() == labels[kept].tolist()
    torch.testing.assert_close(features, expected[kept])


def test_without_any_readable_image_there_is_nothing_to_measure(folders):
    for path in folders[1].glob('?/*.png'):
        path.write_bytes(b'')
    with pytest.raises(ValueError, match=r'none of the 8 images.*query set'):
        build_labelled_loaders(*map(loader_of, folders), 0)


@pytest.mark.integration
def test_validation_of_a_classifier_has_the_labels_of_its_training(
    root, folders, tmp_path
):
    base = root / 'configs' / 'sce' / 'benchmarks'
    base /= 'resnet18_sce-pre_1xb256-linear-steplr-100e_tinyimagenet.py'
    cfg = Config.fromfile(base)
    cfg.work_dir, cfg.launcher = str(tmp_path / 'run'), 'none'
    cfg.experiment_name = 'class_folders'
    cfg.model.backbone.update(base_channels=4, stem_channels=4)
    parts = ('train', 'val', 'test')
    for part, folder in zip(parts, (*folders, folders[1]), strict=True):
        loader = cfg[f'{part}_dataloader']
        loader.update(num_workers=0, persistent_workers=False)
        loader.dataset = config_of(folder)
    (folders[1] / 'b' / '1.png').write_bytes(b'')
    (folders[1] / 'c' / '2.png').write_bytes(b'')

    # torch would say it in the middle of an epoch, in words of its own.
    cfg.model.head.num_classes = 2
    few = (
        r'num_classes: 2, but train_dataloader.dataset has 3 classes: a, b, c'
    )
    with pytest.raises(UserError, match=few):
        build_runner(copy.deepcopy(cfg))
    cfg.model.head.num_classes = 3
    runner = build_runner(cfg)

    for loader in (runner.val_dataloader, runner.test_dataloader):
        assert loader.dataset.get_gt_labels().tolist() == [1] * 4 + [2] * 4
        with pytest.raises(UserError, match=r'cannot read .*b/1\.png'):
            list(loader)
