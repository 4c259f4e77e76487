"""Evaluating a checkpoint through the command line."""

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch

pytestmark = pytest.mark.integration


@pytest.fixture(scope='module')
def setting(root, tmp_path_factory):
    """A config with a labelled set, and a checkpoint of its model."""
    folder = tmp_path_factory.mktemp('labelled')
    random = np.random.default_rng(0)
    for label, level in enumerate((60, 180)):
        for index in range(6):
            path = folder / 'images' / str(label) / f'{index}.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            image = random.integers(level - 40, level + 40, (32, 32, 3))
            cv2.imwrite(str(path), image.astype(np.uint8))
    base = root / 'configs/sce/sce_resnet18_1xb64-coslr-200e_folder.py'
    config = folder / 'config.py'
    config.write_text(f"""
_base_ = '{base}'
model = dict(backbone=dict(base_channels=8, stem_channels=8),
             neck=dict(in_channels=64))
labelled = dict(batch_size=4, num_workers=0, dataset=dict(
    type='CustomDataset', data_root='{folder / 'images'}',
    pipeline=[dict(type='LoadImage'), dict(type='PackInputs')]))
default_hooks = dict(online_knn=dict(
    type='OnlineKNNHook', bank=labelled, query=labelled, k=1))
""")
    code = (
        'import sys, torch, sce_mm\n'
        'from mmengine.config import Config\n'
        'from mmpretrain.registry import MODELS\n'
        'model = MODELS.build(Config.fromfile(sys.argv[1]).model)\n'
        "torch.save({'state_dict': model.state_dict()}, sys.argv[2])\n"
    )
    checkpoint = folder / 'checkpoint.pth'
    subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', code, config, checkpoint],
        check=True,
        capture_output=True,
    )
    return config, checkpoint


def evaluate(root, *words):
    tool = str(root / 'tools' / 'test.py')
    return subprocess.run(
        [sys.executable, '-W', 'ignore', tool, *map(str, words)],
        capture_output=True,
        text=True,
    )


def test_knn_of_a_pretraining_checkpoint(root, setting, tmp_path):
    out = tmp_path / 'metrics.json'
    done = evaluate(root, *setting, '--work-dir', tmp_path, '--out', out)
    assert done.returncode == 0, done.stderr
    # Each query is in the bank itself.
    assert json.loads(out.read_text()) == {'knn_top1_k1': 100.0}


def test_weights_that_do_not_fit_are_not_measured(root, setting, tmp_path):
    config, checkpoint = setting
    content = torch.load(checkpoint, weights_only=True)
    state = content['state_dict']
    wrong = {k.replace('backbone', 'encoder'): v for k, v in state.items()}
    path = tmp_path / 'wrong.pth'
    torch.save({'state_dict': wrong}, path)
    done = evaluate(root, config, path, '--work-dir', tmp_path)
    assert done.returncode != 0
    assert 'backbone.conv1.weight' in done.stderr
    assert 'knn_top1' not in done.stdout


def test_nothing_to_evaluate_on_is_said(root, setting, tmp_path):
    config = root / 'configs/sce/sce_resnet18_1xb64-coslr-200e_folder.py'
    done = evaluate(root, config, setting[1], '--work-dir', tmp_path)
    assert done.returncode != 0
    assert 'there is nothing to evaluate on' in done.stderr
