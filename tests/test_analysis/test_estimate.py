"""The estimate against what can be counted by hand, and what is measured."""

import importlib
import json
import os
import sys
from types import SimpleNamespace

import pytest
import torch
from image_files import write_noise
from mmengine.config import Config, ConfigDict
from recipes import TINY_FOLDER, recipe, table_row
from torch import nn

CIFAR = 'sce_resnet18_1xb256-amp-coslr-200e_cifar10'
FOLDER = 'sce_resnet18_1xb64-coslr-200e_folder'
MCROP = 'sce_resnet50_16xb256-amp-mcrop-coslr-200e_in1k'
MB = 1e6


@pytest.fixture
def tool(root, monkeypatch):
    """``tool(name)``: a tool, or a module of sce_mm.analysis."""
    monkeypatch.syspath_prepend(str(root / 'tools' / 'analysis_tools'))

    def load(name):
        if name in ('estimate', 'profile_step'):
            return importlib.import_module(name)
        return importlib.import_module(f'sce_mm.analysis.{name}')

    return load


class TwoLayers(nn.Module):
    """What it keeps besides views and weights is what lies between."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(12, 5)
        self.second = nn.Linear(5, 4)

    def loss(self, views):
        outputs = [self.second(self.first(v.flatten(1))) for v in views]
        return {'loss': sum(output.sum() for output in outputs)}


def test_kept_bytes_are_those_between_the_layers(tool):
    count = tool('memory').kept_bytes
    # Two views, 5 numbers of 4 bytes each.
    kept = count(TwoLayers(), [2, 2], batch=7, half=False)
    assert kept == 2 * 7 * 5 * 4
    # Under autocast half as wide, with copies of the views and of the second
    # weight, which the gradient of its input needs.
    kept = count(TwoLayers(), [2, 2], batch=7, half=True)
    assert kept == 2 * (7 * (12 + 5) * 2) + 5 * 4 * 2


@pytest.mark.parametrize(
    ('optimizer', 'moments'),
    [
        (dict(type='SGD', lr=1.0), 0),
        (dict(type='SGD', lr=1.0, momentum=0.9), 1),
        (dict(type='AdamW', lr=1.0), 2),
    ],
)
def test_state_by_part(tool, optimizer, moments):
    model = TwoLayers()
    model.first.bias.requires_grad = False
    model.momentum_encoder = nn.Linear(3, 1).requires_grad_(False)
    model.queue = nn.Module()
    model.queue.register_buffer('features', torch.zeros(10))
    counted = tool('memory').state_bytes(model, ConfigDict(optimizer))
    trained = 4 * (12 * 5 + 5 * 4 + 4)
    assert counted == {
        'weights': trained + 4 * 5,
        'gradients': trained,
        'optimiser state': moments * trained,
        'momentum encoder': 4 * 4,
        'queue': 4 * 10,
    }


def test_parts_add_up_at_every_batch(tool):
    memory = tool('memory').Memory({'weights': 100}, 10, 3, 2)
    assert memory.parts(4) == {
        'weights': 100,
        'views': 8,
        'kept for backward': 22,
    }
    for batch in (1, 4, 9):
        assert sum(memory.parts(batch).values()) == memory.total(batch)
        assert memory.total(batch) == memory.fixed + batch * memory.per_image


def test_the_table_of_recipes_has_the_estimate(tool):
    stated = table_row(CIFAR)['memory a GPU'].removesuffix(' GB')
    total = tool('memory').count_memory(recipe(CIFAR)).total(256)
    assert float(stated) == pytest.approx(total / 2**30, abs=0.06)


def narrow(stem: str, batch: int) -> Config:
    """The recipe with an eighth or a quarter of the channels."""
    cfg = recipe(stem)
    backbone, neck = cfg.model.backbone, cfg.model.neck
    backbone.update(depth=18, base_channels=16, stem_channels=16)
    neck.update(in_channels=128, hid_channels=128)
    cfg.train_dataloader.batch_size = batch
    return cfg


@pytest.mark.integration
@pytest.mark.parametrize(
    ('stem', 'batch'), [(CIFAR, 128), (FOLDER, 48), (MCROP, 8)]
)
def test_memory_is_what_a_training_takes(tool, monkeypatch, stem, batch):
    # Freed tensors go back to the system at once, so that the high-water
    # mark is that of what was alive.
    monkeypatch.setenv('MALLOC_MMAP_THRESHOLD_', '65536')
    cfg = narrow(stem, batch)
    estimated = tool('memory').count_memory(cfg).total(batch)
    measured = tool('probe').probe(cfg, 'cpu', seconds=0, loading=False)
    # Kernels that libraries compile, and the chunks of the loss, are not in
    # the estimate: 30 MB.
    assert estimated > 90 * MB
    assert measured['peak_bytes'] > 0.95 * estimated
    assert measured['peak_bytes'] < 1.1 * estimated + 30 * MB


@pytest.mark.integration
def test_what_an_estimate_prints(tool, root, tmp_path, monkeypatch, capsys):
    write_noise(tmp_path, 5)
    out = tmp_path / 'estimate.json'
    arguments = ['--data', str(tmp_path), '--probe-seconds', '0']
    arguments += ['--device', 'cpu', '--device-memory', '1', '--gpus', '4']
    arguments += ['--json', str(out), '--cfg-options', *TINY_FOLDER]
    config = root / 'configs' / 'sce' / f'{FOLDER}.py'
    monkeypatch.setattr(sys, 'argv', ['tool', str(config), *arguments])
    tool('estimate').main()
    report = json.loads(out.read_text())
    assert report['images'] == 5
    assert report['loading']
    rate = report['probe']['images_per_second']
    assert report['hours'] == pytest.approx(5 * 200 / rate / 3600)
    several = report['distributed']
    added = sum(several['communication_seconds'].values())
    assert several['seconds_per_step'] == pytest.approx(4 / rate + added)
    assert several['images_per_second'] < 4 * rate
    printed = capsys.readouterr().out
    for words in (
        'memory of a process at batch 4:',
        'kept for backward',
        f'largest batch a process: {report["largest_batch"]}, in 90% of 1.0',
        'loading included',
        '200 epochs of 5 images',
        '4 GPUs, each with that batch',
        'assumed: ring all-reduce',
        '10 GB/s and 20 us a message',
        '50% of the backward pass',
    ):
        assert words in printed


def refuse(tool, cfg, words, **changed):
    args = SimpleNamespace(images=10, device='cpu', gpus=1)
    args.__dict__.update(changed)
    with pytest.raises(ValueError, match=words):
        tool('estimate').check(cfg, args, loading=False)


def test_what_cannot_be_estimated(tool, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    cfg = recipe(FOLDER)
    refuse(tool, cfg, 'say how many there are, for example --images', images=0)
    refuse(tool, cfg, '--device cuda: there is no GPU here', device='cuda')
    refuse(tool, cfg, '--gpus must be at least 1, got 0', gpus=0)
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=9)
    refuse(tool, cfg, 'train_cfg.max_epochs, which this config has not')
    cfg.train_dataloader.dataset.pipeline.pop(1)
    with pytest.raises(ValueError, match='this config has none'):
        tool('memory').view_sizes(cfg)


def test_data_are_there_or_not(tool, tmp_path):
    cfg, has_data = recipe(FOLDER), tool('estimate').has_data
    for roots, there in (
        (str(tmp_path), True),
        ([str(tmp_path), str(tmp_path / 'none')], False),
        ([], False),
    ):
        cfg.train_dataloader.dataset.data_root = roots
        assert has_data(cfg) is there
    inner = cfg.train_dataloader.dataset
    inner.data_root = str(tmp_path)
    cfg.train_dataloader.dataset = dict(type='RepeatDataset', dataset=inner)
    assert has_data(cfg)


def test_traffic_of_a_recipe(tool):
    cfg = recipe(MCROP)
    traffic = tool('traffic').count_traffic(cfg, batch=3)
    assert traffic.keys == 2 * 3 * 256 * 4
    assert traffic.images == 0
    # 53 norms of ResNet-50; heads have theirs, the momentum branch no
    # predictor. Six views are seen by one branch and two by the other.
    projector = len(traffic.target_norms) // 2 - 53
    assert 1 <= projector <= 3
    assert len(traffic.online_norms) == 6 * (53 + projector + 1)


def test_shuffled_images_travel_too(tool):
    traffic = tool('traffic').count_traffic(recipe(CIFAR), batch=256)
    # One target view of 32 pixels, normalised.
    assert traffic.images == 256 * 3 * 32 * 32 * 4
    assert traffic.online_norms == traffic.target_norms == []


def test_a_probe_that_the_system_ends(tool, monkeypatch):
    probe = tool('probe')
    monkeypatch.setattr(probe, 'train', Ends())
    with pytest.raises(MemoryError, match='--probe-batch'):
        probe.probe(recipe(FOLDER), 'cpu', 0, loading=False)


class Ends:
    """Ends the process that unpickles it."""

    def __reduce__(self):
        return os._exit, (1,)
