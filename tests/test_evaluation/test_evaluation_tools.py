"""The evaluation tools, from their command lines."""

import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from evaluation_toys import (
    build_model,
    model_config,
    run_tool,
    save_checkpoint,
    toy_config,
    write_digits,
)
from image_files import write_noise
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import DATASETS, MODELS
from voc_files import write_voc

from sce_mm.cli.evaluation import initial_model
from sce_mm.evaluation import evaluate_knn
from sce_mm.evaluation.images import crop_pipeline, read_folder
from sce_mm.evaluation.loaders import labelled_loaders
from sce_mm.evaluation.protocols.linear_transfer import linear_transfer
from sce_mm.evaluation.protocols.linear_transfer_data import TransferData
from sce_mm.evaluation.protocols.linear_transfer_sets import (
    TOP1,
    TRANSFER_SETS,
    split_configs,
)
from sce_mm.evaluation.protocols.voc_svm import (
    full_svm,
    low_shot_svm,
    voc_images,
    voc_split,
)
from sce_mm.transfer import (
    CheckpointError,
    extract_backbone,
    read_checkpoint,
    save_backbone,
)
from sce_mm.utils.errors import UserError
from sce_mm.utils.text import RANDOM

pytestmark = pytest.mark.integration


def loader_config(size: int, **dataset: Any) -> dict:
    return dict(
        batch_size=8,
        num_workers=0,
        dataset=dict(type='ToyImages', size=size, **dataset),
    )


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Config, checkpoint, a small VOC, and digits with and without lists."""
    root = tmp_path_factory.mktemp('tools')
    hook = dict(
        type='OnlineKNNHook',
        bank=loader_config(30),
        query=loader_config(12, offset=500),
        k=(1, 5),
    )
    config = toy_config(custom_hooks=[hook], randomness=dict(seed=3))
    config.dump(root / 'toy.py')
    save_checkpoint(root / 'epoch_1.pth')
    write_voc(root / 'VOCdevkit')
    write_digits(root / 'folders', {'train': 40, 'test': 30})
    write_digits(root / 'listed', {'train': 40, 'val': 20, 'test': 30})
    for split in ('train', 'val', 'test'):
        paths = sorted((root / 'listed').glob(f'{split}/*/*.png'))
        lines = [
            f'{path.relative_to(root / "listed")} {path.parent.name}\n'
            for path in paths
        ]
        (root / 'listed' / f'{split}.txt').write_text(''.join(lines))
    return root


@pytest.fixture
def evaluate(folder: Path, tmp_path: Path):
    """Call a tool on the checkpoint; gives the rows of results."""

    def call(tool: str, *words: object) -> list[dict]:
        out = tmp_path / 'new' / 'out.json'
        run_tool(
            f'benchmarks/{tool}', folder / 'toy.py', folder / 'epoch_1.pth',
            *words, '--workers', 0, '--out', out,
        )  # fmt: skip
        return json.loads(out.read_text())

    return call


def expected_knn(folder: Path) -> dict[int, float]:
    bank, query = labelled_loaders(Config.fromfile(folder / 'toy.py'))
    return evaluate_knn(build_model(8), bank, query, (1, 5))


def test_knn_of_checkpoint_export_and_network_before_training(
    folder, evaluate, tmp_path, capsys
):
    exported = tmp_path / 'backbone.pth'
    content = read_checkpoint(folder / 'epoch_1.pth')
    save_backbone(exported, extract_backbone(content))

    initial, trained, other = evaluate('knn', exported, '--random-init')

    expected = expected_knn(folder)
    assert initial['network'] == RANDOM
    assert trained.pop('network') == str(folder / 'epoch_1.pth')
    assert other.pop('network') == str(exported)
    assert trained == {f'knn_top1_k{k}': x for k, x in expected.items()}
    assert other == trained
    printed = capsys.readouterr().out
    assert 'kNN top-1 (%): 12 images by their neighbours among 30' in printed
    assert RANDOM in printed


def test_command_line_overrides_the_hook(evaluate):
    (row,) = evaluate(
        'knn', '--k', 3, '--branch', 'momentum',
        '--cfg-options', 'custom_hooks.0.query.dataset.size=6',
    )  # fmt: skip

    assert list(row) == ['network', 'knn_top1_k3']
    hits = row['knn_top1_k3'] * 6 / 100
    assert hits == pytest.approx(round(hits))


def test_the_network_before_training_is_the_one_that_training_starts_from(
    folder, tmp_path
):
    class Recorder(Hook):
        def before_train(self, runner: Runner) -> None:
            state = runner.model.state_dict()
            self.state = {key: x.clone() for key, x in state.items()}

    recorder = Recorder()
    cfg = Config.fromfile(folder / 'toy.py')
    data = loader_config(8, views=2)
    data['collate_fn'] = dict(type='default_collate')
    data['sampler'] = dict(type='DefaultSampler', shuffle=True)
    Runner(
        model=cfg.model,
        work_dir=str(tmp_path / 'run'),
        train_dataloader=data,
        train_cfg=dict(by_epoch=True, max_epochs=1),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        custom_hooks=[dict(type='MomentumUpdateHook'), recorder],
        randomness=cfg.randomness,
        default_scope='mmpretrain',
        experiment_name='initial',
    ).train()

    state = initial_model(cfg).state_dict()

    assert all(x.equal(recorder.state[key]) for key, x in state.items())


def test_linear_probe_of_a_checkpoint(evaluate):
    (row,) = evaluate('linear_probe', '--costs', 0.01, 0.1)

    assert row['C'] in (0.01, 0.1)
    # Three patterns under noise are easy even for random features.
    assert row['linear_top1'] > 60


def test_two_processes_print_the_table_of_one(root, folder, tmp_path):
    with socket.socket() as server:
        server.bind(('127.0.0.1', 0))
        port = server.getsockname()[1]
    out = tmp_path / 'knn.json'
    tool = root / 'tools' / 'benchmarks' / 'knn.py'
    subprocess.run(
        [
            *(sys.executable, '-m', 'torch.distributed.run'),
            *('--nproc_per_node=2', f'--master_port={port}'),
            *(tool, folder / 'toy.py', folder / 'epoch_1.pth'),
            *('--launcher', 'pytorch', '--device', 'cpu', '--out', out),
        ],
        check=True,
        env={
            'PATH': '/usr/bin:/bin',
            'PYTHONPATH': f'{root}:{root / "tests" / "helpers"}',
            'OMP_NUM_THREADS': '1',
        },
        timeout=300,
    )

    (row,) = json.loads(out.read_text())
    for k, accuracy in expected_knn(folder).items():
        assert row[f'knn_top1_k{k}'] == accuracy


def test_knn_takes_the_data_of_a_classifier(folder, root, tmp_path):
    config = root / 'configs' / 'sce' / 'benchmarks'
    config /= 'resnet18_sce-pre_1xb256-linear-steplr-100e_tinyimagenet.py'
    weights = tmp_path / 'backbone.pth'
    narrow = dict(base_channels=4, stem_channels=4)
    backbone = Config.fromfile(config).model.backbone | narrow
    state = MODELS.build(backbone).state_dict()
    torch.save({'state_dict': state}, weights)

    run_tool(
        'benchmarks/knn', config, weights, '--k', 1,
        '--out', tmp_path / 'knn.json', '--cfg-options',
        *(f'model.backbone.{key}={value}' for key, value in narrow.items()),
        *(
            f'{loader}_dataloader.dataset.{key}={value}'
            for loader in ('train', 'val')
            for key, value in (
                ('data_root', folder / 'folders'),
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


def test_svm_of_a_checkpoint(folder, evaluate, capsys):
    data = folder / 'VOCdevkit'
    rows = evaluate(
        'svm', '--data', data, '--low-shot', 1, 2, '--costs', 0.5, 1e-4
    )

    train, test = (
        voc_split(build_model(8), voc_images(data, split), workers=0)
        for split in ('trainval', 'test')
    )
    # Difficult objects do not count: one class each, two images of it to test
    # on and twice as many to train on.
    assert train.labels.sum(axis=0).tolist() == [4] * 20
    assert test.labels.sum(axis=1).tolist() == [1] * 40
    assert rows[0] == {
        'network': str(folder / 'epoch_1.pth'),
        'C': 0.5,
        'k=1': pytest.approx(low_shot_svm(train, test, 1)),
        'k=2': pytest.approx(low_shot_svm(train, test, 2)),
        'full': pytest.approx(full_svm(train, test)),
    }
    assert rows[1]['C'] == 1e-4
    assert rows[1]['full'] == full_svm(train, test, 1e-4) != rows[0]['full']
    printed = capsys.readouterr().out
    assert '40 test images of VOC 2007, 80 to train on' in printed


def test_linear_transfer_of_a_checkpoint(folder, evaluate):
    rows = evaluate(
        'linear_transfer', '--data-root', folder, '--size', 64,
        '--datasets', 'listed', 'folders', 'voc2007',
    )  # fmt: skip

    assert [row['data set'] for row in rows] == [
        'listed', 'folders', 'VOC 2007', 'average',
    ]  # fmt: skip
    for row in rows[:2]:
        data = TransferData(row['data set'], folder, TOP1, size=64)
        # Only the lists have a validation split.
        assert ('val' in data.images) == (row['data set'] == 'listed')
        splits = data.features(build_model(8), workers=0)
        expected = linear_transfer(
            splits['train'], splits.get('val'), splits['test'], TOP1
        )
        assert row['score'] == pytest.approx(expected.score)
        assert (row['wd'], row['metric']) == (expected.penalty, TOP1)
        # Real digits, features of random weights.
        assert row['score'] > 60
    assert rows[2]['metric'] == '11-point mAP'
    scores = [row['score'] for row in rows[:3]]
    assert rows[3]['score'] == pytest.approx(np.mean(scores))


@pytest.mark.parametrize('name', TRANSFER_SETS)
def test_data_sets_of_the_table_are_known_and_documented(name, root, tmp_path):
    entry = TRANSFER_SETS[name]
    lines = (root / 'docs' / 'evaluation.md').read_text().splitlines()
    (line,) = (x for x in lines if x.startswith(f'| {entry.title} | `'))
    assert f'`{entry.folder}` | {entry.classes} | {entry.metric} |' in line
    assert ('its own' in line) == ('val' in entry.splits)
    (tmp_path / entry.folder).mkdir(parents=True)
    for config in split_configs(entry, tmp_path, []).values():
        # Of an empty folder the files are missed, not the split.
        with pytest.raises((FileNotFoundError, RuntimeError)):
            DATASETS.build(config)
    classes = DATASETS.get(entry.dataset).METAINFO.get('classes')
    assert classes is None or len(classes) == entry.classes


def test_mistakes_are_explained(folder, evaluate, tmp_path, capsys):
    with pytest.raises(SystemExit):
        run_tool('benchmarks/knn', folder / 'toy.py')
    assert 'name a checkpoint, or --random-init' in capsys.readouterr().err
    other = tmp_path / 'without_hook.py'
    other.write_text(f'model = {model_config()!r}')
    with pytest.raises(ValueError, match='config names no labelled images'):
        run_tool('benchmarks/knn', other, folder / 'epoch_1.pth')
    with pytest.raises(CheckpointError, match='does not fit ResNet'):
        evaluate('knn', '--cfg-options', 'model.backbone.depth=34')
    pixels = save_checkpoint(tmp_path / 'other.pth', channel_order='bgr')
    with pytest.raises(ValueError, match='is rgb here and was bgr'):
        evaluate('knn', pixels)
    with pytest.raises(FileNotFoundError, match='no VOC 2007 at'):
        evaluate('svm', '--data', tmp_path)
    with pytest.raises(ValueError, match='crop must be positive and at most'):
        crop_pipeline(100, 200)


def test_mistakes_with_data_sets_are_explained(folder, evaluate, tmp_path):
    def transfer(*names: str) -> None:
        evaluate(
            'linear_transfer', '--data-root', tmp_path, '--datasets', *names
        )

    with pytest.raises(FileNotFoundError, match=r'expected train\.txt and'):
        transfer('own')
    with pytest.raises(FileNotFoundError, match='layout of DTD of mmpretrain'):
        transfer('dtd')
    train = (folder / 'listed' / 'train.txt').read_text().splitlines()
    for name, test in (('dtd', train), ('own', [train[0][:-1] + '7'])):
        (tmp_path / name).mkdir()
        for split, lines in (('train', train), ('test', test)):
            path = tmp_path / name / f'{split}.txt'
            path.write_text('\n'.join(lines))
    with pytest.raises(ValueError, match=r'dtd has 3 classes .* DTD has 47'):
        transfer('dtd')
    with pytest.raises(ValueError, match=r'test split of own .* lacks: \[7\]'):
        transfer('own')


@pytest.fixture
def draw(folder: Path, tmp_path: Path):
    """Call a tool on a folder of digits; gives the path of the file."""

    def call(tool: str, ending: str, *words: object) -> Path:
        out = tmp_path / 'new' / f'{tool}.{ending}'
        run_tool(
            f'visualization/{tool}', folder / 'toy.py', folder / 'epoch_1.pth',
            '--random-init', '--data', folder / 'folders' / 'train',
            '--resize', 32, '--crop', 32, '--workers', 0, '--out', out, *words,
            '--overwrite',
        )  # fmt: skip
        return out

    return call


def test_map_has_colours_of_the_classes_or_the_images(draw):
    for words, coloured in (((), True), (('--no-labels',), False)):
        picture = cv2.imread(str(draw('embed', 'png', '--nearby', 10, *words)))
        half = picture.shape[1] // 2
        # A panel for each network, the legend beside them.
        for panel in (picture[:, :half], picture[:, half : -half // 3]):
            spread = panel.max(axis=2).astype(int) - panel.min(axis=2)
            assert ((spread > 60).sum() > 100) == coloured


def test_page_shows_neighbours_and_how_many_are_right(draw, capsys):
    out = draw('neighbours', 'html', '--queries', 3, '--shown', 4)

    text = out.read_text()
    assert '3 of 40 images' in capsys.readouterr().out
    # Two networks, three rows of a query and four neighbours.
    assert text.count('<figcaption>') == 2 * 3 * 5
    assert text.count('% of the 4 nearest are of the class') == 2
    right = text.count('<figure class="yes">')
    assert right == text.count(', same class</figcaption>') > 0
    assert right + text.count('<figure class="no">') == 2 * 3 * 4


def test_a_drawing_does_without_images_that_cannot_be_read(
    draw, folder, tmp_path, capsys
):
    shutil.copytree(folder / 'folders' / 'train', tmp_path / 'some')
    broken = next((tmp_path / 'some').rglob('*.png'))
    broken.write_bytes(broken.read_bytes()[:60])
    words = '--data', tmp_path / 'some', '--queries', 40, '--shown', 2
    text = draw('neighbours', 'html', *words).read_text()
    assert '39 of 39 images' in capsys.readouterr().out
    assert text.count('<figcaption>') == 2 * 39 * 3
    assert broken.name not in text
    words = '--data', tmp_path / 'some', '--nearby', 10
    assert draw('embed', 'png', *words).exists()
    assert '39 images' in capsys.readouterr().out


def test_some_of_the_images_are_drawn_at_random(folder):
    root = str(folder / 'folders')

    drawn = [
        read_folder(root, crop_pipeline(32, 32), 20, seed=seed)
        for seed in (0, 0, 1)
    ]

    assert drawn[0].paths == drawn[1].paths == sorted(drawn[0].paths)
    assert drawn[0].paths != drawn[2].paths
    assert len(drawn[0].dataset) == len(set(drawn[0].paths)) == 20
    with pytest.raises(ValueError, match='at least one image'):
        read_folder(root, crop_pipeline(32, 32), 0)


def test_sweep_shortens_a_warmup_with_the_training(tmp_path, monkeypatch):
    """As the training does that it starts."""

    def begin(commands: list, folder: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr('sce_mm.cli.commands.sweep.run_together', begin)
    folders = [tmp_path / 'bank', tmp_path / 'query']
    for folder in folders:
        for label in ('a', 'b'):
            (folder / label).mkdir(parents=True)
            write_noise(folder / label, 1)
    name = 'sce_resnet18_1xb64-coslr-200e_folder'
    data = f'train_dataloader.dataset.data_root={folders[0]}'
    words = ['--cfg-options', 'train_cfg.max_epochs=1', data]
    with pytest.raises(KeyboardInterrupt):
        run_tool(
            'benchmarks/sweep', name, tmp_path / 'out', '--setting', 'A',
            'model.head.loss.coeff=1', '--knn', *folders, *words,
        )  # fmt: skip


def test_sweep_does_what_is_missing_and_tabulates_it(
    tmp_path, monkeypatch, capsys
):
    begun = []

    def pretend(commands: list, folder: Path) -> None:
        (command,) = commands
        begun.append(command.command)
        folder.mkdir(parents=True, exist_ok=True)
        words = list(map(str, command.words))
        if '--work-dir' in words:
            (folder / 'last_checkpoint').write_text('epoch_1.pth')
            assert words[-1] == 'coeff=1'
            return
        # The network that was trained.
        assert ('coeff=1' in words) == ('--random-init' not in words)
        assert words[words.index('--bank') + 1] == str(tmp_path / 'bank')
        column = {'knn': 'knn_top1_k20', 'linear-probe': 'linear_top1'}
        rows = [{'network': words[1], column[begun[-1]]: len(begun)}]
        path = words[words.index('--out') + 1]
        Path(path).write_text(json.dumps(rows))

    monkeypatch.setattr('sce_mm.cli.commands.sweep.run_together', pretend)
    config = tmp_path / 'x.py'
    config.write_text("model = dict(type='SCE')\ncoeff = 0\n")
    out = tmp_path / 'sweep'
    for folder in ('bank', 'query'):
        for label in ('a', 'b'):
            (tmp_path / folder / label).mkdir(parents=True)
            write_noise(tmp_path / folder / label, 1)
    knn = '--knn', tmp_path / 'bank', tmp_path / 'query'
    words = (config, out, '--setting', 'A', 'coeff=1', *knn, '--seeds')
    for seeds in ((0,), (0, 1)):
        run_tool('benchmarks/sweep', *words, *seeds)
    more = [w.replace('coeff=1', 'coeff=2') for w in map(str, words)]
    with pytest.raises(UserError, match='results of A from another CONFIG'):
        run_tool('benchmarks/sweep', *more, 0)

    # Two networks; what the first call measured is not measured again.
    evaluations = ['knn', 'linear-probe']
    assert begun == [*evaluations, 'train', *evaluations] * 2
    table = capsys.readouterr().out.splitlines()
    assert table[-4:] == [
        '| setting | knn_top1_k20 | linear_top1 | seeds |',
        '| --- | --- | --- | --- |',
        '| random initialisation | 3.5 ± 3.5 | 4.5 ± 3.5 | 2 |',
        '| A | 6.5 ± 3.5 | 7.5 ± 3.5 | 2 |',
    ]
