"""Exported files load in their libraries and give the same features there."""

import json
import pickle
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import timm
import torch
import torchvision
from mmpretrain.models import ResNeXt
from transfer_files import pretraining, run_tool, trained

from sce_mm.cli.commands import export as command
from sce_mm.transfer import CheckpointError, extract_backbone, read_checkpoint
from sce_mm.transfer.export import export as package
from sce_mm.transfer.export.export import export
from sce_mm.transfer.export.targets import TARGETS

pytestmark = pytest.mark.integration

SUFFIX = {'detectron2': 'pkl', 'safetensors': 'safetensors', 'onnx': 'onnx'}


@pytest.fixture(scope='module')
def backbones():
    """Backbones of trainings, by name."""
    kinds = {
        18: {},
        50: {'depth': 50},
        'narrow': {'width': 8},
        'small': {'width': 8, 'small': True},
    }
    return {
        name: extract_backbone(pretraining(trained(**options)))
        for name, options in kinds.items()
    }


def path_for(folder, target):
    return folder / f'out.{SUFFIX.get(target, "pth")}'


@pytest.mark.parametrize('depth', [18, 50])
def test_the_libraries_agree(backbones, tmp_path, depth):
    weights, meta, _ = backbones[depth]
    before = {k: v.clone() for k, v in weights.items()}
    for target in TARGETS:
        path = path_for(tmp_path / target, target)
        deviation = export(target, path, backbones[depth])
        assert deviation <= (1e-4 if target == 'onnx' else 1e-6), target
        assert list(path.parent.iterdir()) == [path]
        if target != 'onnx':
            again, said, _ = extract_backbone(read_checkpoint(path))
            assert said == meta
            assert set(again) == set(weights)
            assert all(torch.equal(again[k], weights[k]) for k in weights)
    assert all(torch.equal(before[k], v) for k, v in weights.items())
    # As their users call them, without a word of this project.
    model = torchvision.models.get_model(f'resnet{depth}', weights=None)
    flat = torch.load(
        path_for(tmp_path / 'torchvision', ''), weights_only=True
    )
    with pytest.raises(RuntimeError, match=r'Missing key.*fc\.weight'):
        model.load_state_dict(flat)
    model.fc = torch.nn.Identity()
    model.load_state_dict(flat)
    other = timm.create_model(
        f'resnet{depth}',
        num_classes=0,
        checkpoint_path=str(path_for(tmp_path / 'timm', '')),
    )
    with (tmp_path / 'detectron2' / 'out.pkl').open('rb') as file:
        content = pickle.load(file)
    assert content['meta'] == meta
    assert content['matching_heuristics'] is True
    assert type(content['model']['stem.conv1.norm.weight']) is np.ndarray
    (entry,) = onnx.load(tmp_path / 'onnx' / 'out.onnx').metadata_props
    assert (entry.key, json.loads(entry.value)) == ('sce_mm', meta)
    images = torch.randn(2, 3, 64, 48)
    with torch.no_grad():
        expected = model.eval()(images)
        assert torch.allclose(other.eval()(images), expected, atol=1e-5)
    session = onnxruntime.InferenceSession(
        str(tmp_path / 'onnx' / 'out.onnx'),
        providers=['CPUExecutionProvider'],
    )
    (pooled,) = session.run(['pooled'], {'images': images.numpy()})
    assert np.allclose(pooled, expected, atol=1e-4 * float(expected.max()))


@pytest.mark.parametrize(
    ('kind', 'style', 'works', 'refused', 'message'),
    [
        (
            'narrow',
            'pytorch',
            'mmpretrain mmdet',
            'torchvision timm',
            '8 stem and 8 base channels',
        ),
        (
            'small',
            'pytorch',
            'mmpretrain mmdet safetensors onnx',
            'torchvision timm detectron2',
            '3 x 3 stem|for small images',
        ),
        (50, 'caffe', '', 'torchvision timm', 'style caffe, only'),
        (50, None, '', 'timm mmdet', 'add --style pytorch'),
    ],
)
def test_what_a_library_cannot_express_is_refused(
    backbones, tmp_path, kind, style, works, refused, message
):
    meta = backbones[kind].meta | {'style': style}
    backbone = backbones[kind]._replace(meta=meta)
    for target in works.split():
        assert export(target, path_for(tmp_path, target), backbone) < 1e-4
    for target in refused.split():
        path = path_for(tmp_path / 'refused', target)
        with pytest.raises(CheckpointError, match=message):
            export(target, path, backbone)
        assert not path.parent.exists()


def test_a_network_that_is_none_of_the_known_ones_is_not_exported(tmp_path):
    """A ResNeXt has the names of a ResNet."""
    network = ResNeXt(50, groups=32, base_channels=8, stem_channels=8)
    backbone = extract_backbone(network.state_dict(), network=network)
    for target in ('mmdet', 'torchvision', 'safetensors'):
        path = path_for(tmp_path, target)
        with pytest.raises(CheckpointError, match='is of a ResNeXt-50, not'):
            export(target, path, backbone)


def test_nothing_is_left_of_what_cannot_be_proved(
    backbones, tmp_path, monkeypatch
):
    backbone = backbones['narrow']
    with pytest.raises(CheckpointError, match=r'has to end in \.pkl'):
        export('detectron2', tmp_path / 'a.pth', backbone)
    target = TARGETS['safetensors']

    def write_wrongly(path, backbone):
        weights = backbone.weights
        changed = weights | {'bn1.bias': weights['bn1.bias'] + 0.01}
        target.write(path, extract_backbone(changed))

    wrong = target._replace(write=write_wrongly)
    monkeypatch.setitem(package.TARGETS, 'safetensors', wrong)
    with pytest.raises(CheckpointError, match='computes other features'):
        export('safetensors', tmp_path / 'a.safetensors', backbone)
    monkeypatch.setitem(sys.modules, 'timm', None)
    with pytest.raises(ImportError, match='pip install timm'):
        export('timm', tmp_path / 'a.pth', backbones[18])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('target', ['torchvision', 'timm'])
def test_the_command_prints_a_snippet_that_runs(
    root, tmp_path, capsys, monkeypatch, target
):
    weights = trained()
    source, out = tmp_path / 'epoch_3.pth', path_for(tmp_path, target)
    torch.save(pretraining(weights), source)
    tool = root / 'tools' / 'model_converters' / 'export_backbone.py'
    code, text = run_tool(
        tool, capsys, monkeypatch, source, out, '--to', target
    )
    assert code == 0, text
    assert f'checked: features of an image in {target}' in text
    assert 'RGB order, (pixels - mean) / std of pixels' in text
    assert 'from 0 to 255, with mean [123.675, 116.28, 103.53]' in text
    assert tuple(TARGETS) == command.TARGETS
    names = {}
    exec(text[text.index('\nimport') :], names)
    loaded = names['model'].state_dict()
    assert all(torch.equal(loaded[k], weights[k]) for k in weights)
