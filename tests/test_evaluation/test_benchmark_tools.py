"""The offline tools on a checkpoint, from their command lines."""

import importlib.util
import json
import socket
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from evaluation_toys import build_model, model_config, toy_config
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from sce_mm.cli.evaluation import INITIAL, initial_model
from sce_mm.transfer import (
    CheckpointError,
    extract_backbone,
    read_checkpoint,
    save_backbone,
)

pytestmark = pytest.mark.integration


def loader_config(size: int, **dataset: Any) -> dict:
    return dict(
        batch_size=8,
        num_workers=0,
        dataset=dict(type='ToyImages', size=size, **dataset),
    )


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Config of the tiny model with labelled toy images."""
    hook = dict(
        type='OnlineKNNHook',
        bank=loader_config(30),
        query=loader_config(12, offset=500),
        k=(1, 5),
    )
    path = tmp_path / 'toy.py'
    toy_config(custom_hooks=[hook], randomness=dict(seed=3)).dump(path)
    return path


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A model of other weights than those of the config's seed."""
    return save_checkpoint(tmp_path / 'epoch_1.pth')


def save_checkpoint(path: Path, **facts: Any) -> Path:
    state = build_model(8).state_dict()
    torch.save({'meta': {'sce_mm': facts}, 'state_dict': state}, path)
    return path


def run(
    root: Path, monkeypatch: pytest.MonkeyPatch, tool: str, *arguments: Any
) -> None:
    """The tool's main, in this process."""
    module = load_tool(root, tool)
    monkeypatch.setattr(sys, 'argv', [tool, *map(str, arguments)])
    module.main()


def load_tool(root: Path, tool: str) -> ModuleType:
    path = root / 'tools' / 'benchmarks' / f'{tool}.py'
    spec = importlib.util.spec_from_file_location(f'{tool}_tool', path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def expected_knn(model: torch.nn.Module, config: Path) -> dict[int, float]:
    from sce_mm.evaluation import evaluate_knn
    from sce_mm.evaluation.loaders import labelled_loaders

    bank, query = labelled_loaders(Config.fromfile(config))
    return evaluate_knn(model, bank, query, (1, 5))


def test_knn_of_a_checkpoint_beside_the_network_before_training(
    root, config, checkpoint, tmp_path, monkeypatch, capsys
):
    out = tmp_path / 'results' / 'knn.json'

    run(
        root, monkeypatch, 'knn',
        config, checkpoint, '--random-init', '--out', out,
    )  # fmt: skip

    initial, trained = json.loads(out.read_text())
    assert initial['network'] == INITIAL
    assert trained['network'] == str(checkpoint)
    expected = expected_knn(build_model(8), config)
    assert trained['knn_top1_k1'] == expected[1]
    assert trained['knn_top1_k5'] == expected[5]
    printed = capsys.readouterr().out
    assert 'kNN top-1 (%): 12 images by their neighbours among 30' in printed
    assert INITIAL in printed


def test_command_line_overrides_the_hook(
    root, config, checkpoint, tmp_path, monkeypatch
):
    out = tmp_path / 'knn.json'

    run(
        root, monkeypatch, 'knn', config, checkpoint,
        '--k', 3, '--branch', 'momentum', '--out', out,
        '--cfg-options', 'custom_hooks.0.query.dataset.size=6',
    )  # fmt: skip

    (row,) = json.loads(out.read_text())
    assert list(row) == ['network', 'knn_top1_k3']
    assert row['knn_top1_k3'] * 6 / 100 == pytest.approx(
        round(row['knn_top1_k3'] * 6 / 100)
    )


def test_the_network_before_training_is_the_one_that_training_starts_from(
    config: Path, tmp_path: Path
):
    class Recorder(Hook):
        def before_train(self, runner: Runner) -> None:
            state = runner.model.state_dict()
            self.state = {key: x.clone() for key, x in state.items()}

    recorder = Recorder()
    cfg = Config.fromfile(config)
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


def test_linear_probe_of_a_checkpoint(
    root, config, checkpoint, tmp_path, monkeypatch
):
    out = tmp_path / 'linear.json'

    run(
        root, monkeypatch, 'linear_probe',
        config, checkpoint, '--costs', 0.01, 0.1, '--out', out,
    )  # fmt: skip

    (row,) = json.loads(out.read_text())
    assert row['network'] == str(checkpoint)
    assert row['C'] in (0.01, 0.1)
    # Three patterns under noise are easy even for random features.
    assert row['linear_top1'] > 60


def free_port() -> int:
    with socket.socket() as server:
        server.bind(('127.0.0.1', 0))
        return server.getsockname()[1]


def test_two_processes_print_the_table_of_one(
    root, config, checkpoint, tmp_path
):
    out = tmp_path / 'knn.json'
    subprocess.run(
        [
            *(sys.executable, '-m', 'torch.distributed.run'),
            *('--nproc_per_node=2', f'--master_port={free_port()}'),
            *(root / 'tools' / 'benchmarks' / 'knn.py', config, checkpoint),
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
    expected = expected_knn(build_model(8), config)
    assert row['knn_top1_k1'] == expected[1]
    assert row['knn_top1_k5'] == expected[5]


def test_mistakes_are_explained(
    root, config, checkpoint, tmp_path, monkeypatch
):
    with pytest.raises(ValueError, match='name a checkpoint, or --random-i'):
        run(root, monkeypatch, 'knn', config)
    with pytest.raises(FileNotFoundError, match=r'there is no file .*x\.pth'):
        run(root, monkeypatch, 'knn', config, 'x.pth')
    without_hook = tmp_path / 'without_hook.py'
    without_hook.write_text(f'model = {model_config()!r}')
    with pytest.raises(ValueError, match='config names no labelled images'):
        run(root, monkeypatch, 'knn', without_hook, checkpoint)


def test_exported_backbone_gives_the_same(
    root, config, checkpoint, tmp_path, monkeypatch
):
    exported, out = tmp_path / 'backbone.pth', tmp_path / 'knn.json'
    save_backbone(exported, extract_backbone(read_checkpoint(checkpoint)))

    run(root, monkeypatch, 'knn', config, checkpoint, exported, '--out', out)

    first, second = json.loads(out.read_text())
    assert first.pop('network') != second.pop('network')
    assert first == second


def test_weights_of_another_network_are_refused(
    root, config, checkpoint, monkeypatch
):
    with pytest.raises(CheckpointError, match='does not fit ResNet'):
        run(
            root, monkeypatch, 'knn', config, checkpoint,
            '--cfg-options', 'model.backbone.depth=34',
        )  # fmt: skip


@pytest.mark.parametrize(
    ('facts', 'message'),
    [
        (dict(channel_order='bgr'), 'channel_order = bgr, .* config has rgb'),
        (dict(std=[1.0, 1.0, 1.0]), r'std = \[1.0, 1.0, 1.0\], .* \[58.395'),
    ],
)
def test_weights_that_saw_other_pixels_are_refused(
    root, config, tmp_path, monkeypatch, facts: dict, message: str
):
    checkpoint = save_checkpoint(tmp_path / 'other.pth', **facts)

    with pytest.raises(ValueError, match=message):
        run(root, monkeypatch, 'knn', config, checkpoint)
