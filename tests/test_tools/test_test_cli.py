"""Evaluating a checkpoint through the command line."""

import json
import runpy
import sys

import numpy as np
import pytest
import torch
from image_files import write_noise
from mmengine.config import Config
from mmpretrain.registry import MODELS

from sce_mm.cli.commands.test import plain
from sce_mm.utils.errors import UserError

pytestmark = pytest.mark.integration

RECIPE = 'configs/sce/sce_resnet18_1xb64-coslr-200e_folder.py'


@pytest.fixture(scope='module')
def setting(root, tmp_path_factory):
    """A config with a labelled set, and a checkpoint of its model."""
    folder = tmp_path_factory.mktemp('labelled')
    for label in 'ab':
        (folder / 'images' / label).mkdir(parents=True)
    write_noise(folder / 'images' / 'a', 6)
    for index in range(3):
        name = f'{index}.png'
        (folder / 'images/a' / name).rename(folder / 'images/b' / name)
    config = folder / 'config.py'
    config.write_text(f"""
_base_ = '{root / RECIPE}'
model = dict(backbone=dict(base_channels=8, stem_channels=8),
             neck=dict(in_channels=64))
labelled = dict(batch_size=4, num_workers=0, dataset=dict(
    type='CustomDataset', data_root='{folder / 'images'}',
    pipeline=[dict(type='LoadImage'), dict(type='PackInputs')]))
default_hooks = dict(online_knn=dict(
    type='OnlineKNNHook', bank=labelled, query=labelled, k=1))
""")
    model = MODELS.build(Config.fromfile(config).model)
    checkpoint = folder / 'checkpoint.pth'
    torch.save({'state_dict': model.state_dict()}, checkpoint)
    return config, checkpoint


@pytest.fixture
def evaluate(root, tmp_path, monkeypatch):
    def run(*words):
        tool = root / 'tools' / 'test.py'
        words = [str(tool), *map(str, words), '--work-dir', str(tmp_path)]
        monkeypatch.setattr(sys, 'argv', words)
        # The tool replaces it.
        monkeypatch.setattr(sys, 'stdout', sys.stdout)
        runpy.run_path(str(tool))['main']()

    return run


def test_knn_of_a_pretraining_checkpoint(evaluate, setting, tmp_path):
    out = tmp_path / 'metrics.json'
    evaluate(*setting, '--out', out)
    # Each query is in the bank itself.
    assert json.loads(out.read_text()) == {'knn_top1_k1': 100.0}


def test_weights_that_do_not_fit_are_not_measured(evaluate, setting, tmp_path):
    config, checkpoint = setting
    content = torch.load(checkpoint, weights_only=True)
    state = content['state_dict']
    wrong = {k.replace('backbone', 'encoder'): v for k, v in state.items()}
    path = tmp_path / 'wrong.pth'
    torch.save({'state_dict': wrong}, path)
    with pytest.raises(
        UserError,
        match=r'no checkpoint of (.|\n)*backbone\.conv1\.weight',
    ):
        evaluate(config, path)


def test_nothing_to_evaluate_on_is_refused(root, evaluate, setting):
    with pytest.raises(ValueError, match='there is nothing to evaluate on'):
        evaluate(root / RECIPE, setting[1])


def test_metrics_are_shown_as_plain_numbers():
    metrics = {'aAcc': np.float32(64.5), 'note': 'a', 'top1': 40.0}
    shown = "{'aAcc': 64.5, 'note': 'a', 'top1': 40.0}"
    assert str(plain(metrics)) == shown


def test_averaged_weights_are_what_is_evaluated(evaluate, tmp_path):
    """EMAHook keeps the average in state_dict and the others beside it."""
    images = tmp_path / 'images'
    for label, count in ('a', 3), ('b', 2):
        (images / label).mkdir(parents=True)
        write_noise(images / label, count)
    backbone = """dict(
    type='ResNet', depth=18, base_channels=8, stem_channels=8,
    norm_cfg=dict(type='BN'))"""
    config = tmp_path / 'config.py'
    config.write_text(f"""
default_scope = 'mmpretrain'
experiment_name = '{tmp_path.name}'
model = dict(
    type='ImageClassifier', backbone={backbone},
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', in_channels=64, num_classes=2))
custom_hooks = [dict(type='EMAHook')]
test_cfg = dict()
test_evaluator = dict(type='Accuracy')
test_dataloader = dict(batch_size=4, num_workers=0, dataset=dict(
    type='CustomDataset', data_root='{images}', pipeline=[
        dict(type='LoadImageFromFile'), dict(type='PackInputs')]))
""")
    model = MODELS.build(Config.fromfile(config).model)
    always = {}
    for label in range(2):
        torch.nn.init.zeros_(model.head.fc.weight)
        model.head.fc.bias.data = torch.eye(2)[label]
        state = model.state_dict().items()
        always[label] = {name: value.clone() for name, value in state}
    other = {f'module.{name}': value for name, value in always[0].items()}
    other['steps'] = torch.tensor(3)
    checkpoint = tmp_path / 'averaged.pth'
    torch.save({'state_dict': always[1], 'ema_state_dict': other}, checkpoint)
    out = tmp_path / 'metrics.json'
    evaluate(config, checkpoint, '--out', out)
    # Two of five images are of the second class.
    assert json.loads(out.read_text()) == {'accuracy/top1': 40.0}
