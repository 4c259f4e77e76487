"""Exported files load in their libraries and give the same features there."""

import json
import pickle
import re

import numpy as np
import onnx
import onnxruntime
import pytest
import timm
import torch
import torchvision
from safetensors import safe_open
from transfer_files import pretraining, run_tool, trained

from sce_mm.transfer import CheckpointError, extract_backbone, read_checkpoint
from sce_mm.transfer.export import export as package
from sce_mm.transfer.export.export import export
from sce_mm.transfer.export.images import as_input, read_image
from sce_mm.transfer.export.targets import TARGETS

pytestmark = pytest.mark.integration

SUFFIX = {'detectron2': 'pkl', 'safetensors': 'safetensors', 'onnx': 'onnx'}
READ_AGAIN = [name for name in TARGETS if name != 'onnx']


@pytest.fixture(scope='module')
def backbones():
    """Backbones of trainings, by name."""
    kinds = {
        18: {},
        34: {'depth': 34},
        50: {'depth': 50},
        'narrow': {'width': 8},
        'small': {'width': 8, 'small': True},
        'caffe': {'depth': 50, 'width': 8, 'style': 'caffe'},
    }
    return {
        name: extract_backbone(
            pretraining(
                trained(**options), style=options.get('style', 'pytorch')
            )
        )
        for name, options in kinds.items()
    }


@pytest.fixture(scope='module')
def image(backbones):
    """A photograph as the networks want it."""
    return as_input(read_image(None), backbones[18][1], 64)[None]


def path_for(folder, target):
    return folder / f'out.{SUFFIX.get(target, "pth")}'


@pytest.mark.parametrize(
    ('depth', 'targets'),
    [
        (18, TARGETS),
        (34, ('torchvision', 'timm')),
        (50, ('torchvision', 'timm', 'mmdet', 'onnx')),
    ],
)
def test_the_libraries_agree(backbones, image, tmp_path, depth, targets):
    weights, meta = backbones[depth]
    before = {k: v.clone() for k, v in weights.items()}
    for target in targets:
        path = path_for(tmp_path / target, target)
        deviation = export(target, path, weights, meta, image)
        assert deviation <= (1e-4 if target == 'onnx' else 1e-6), target
        assert list(path.parent.iterdir()) == [path]
    assert all(torch.equal(before[k], v) for k, v in weights.items())
    # As their users call them, without a word of this project.
    model = torchvision.models.get_model(f'resnet{depth}', weights=None)
    model.fc = torch.nn.Identity()
    flat = torch.load(
        path_for(tmp_path / 'torchvision', ''), weights_only=True
    )
    model.load_state_dict(flat)
    other = timm.create_model(
        f'resnet{depth}',
        num_classes=0,
        checkpoint_path=str(path_for(tmp_path / 'timm', '')),
    )
    images = torch.cat([image, image.flip(3)])[..., :48]
    with torch.no_grad():
        expected = model.eval()(images)
        assert torch.allclose(other.eval()(images), expected, atol=1e-5)
    if 'onnx' not in targets:
        return
    session = onnxruntime.InferenceSession(
        str(tmp_path / 'onnx' / 'out.onnx'),
        providers=['CPUExecutionProvider'],
    )
    (pooled,) = session.run(['pooled'], {'images': images.numpy()})
    assert np.allclose(pooled, expected, atol=1e-4 * float(expected.max()))


def test_a_classifier_is_not_left_random_in_silence(
    backbones, image, tmp_path
):
    path = tmp_path / 'out.pth'
    export('torchvision', path, *backbones[18], image)
    with pytest.raises(RuntimeError, match=r'Missing key.*fc\.weight'):
        torchvision.models.resnet18().load_state_dict(
            torch.load(path, weights_only=True)
        )
    with pytest.raises(RuntimeError, match=r'Missing key.*fc\.weight'):
        timm.create_model('resnet18', checkpoint_path=str(path))


@pytest.mark.parametrize('target', READ_AGAIN)
def test_files_are_read_again_with_all_that_they_say(
    backbones, image, tmp_path, target
):
    weights, meta = backbones[18]
    path = path_for(tmp_path, target)
    export(target, path, weights, meta, image)
    again, said = extract_backbone(read_checkpoint(path))
    assert said == meta
    assert set(again) == set(weights)
    assert all(torch.equal(again[k], weights[k]) for k in weights)


def test_the_meta_block_is_where_each_format_keeps_such_things(
    backbones, image, tmp_path
):
    weights, meta = backbones['narrow']
    for target in ('detectron2', 'safetensors', 'onnx'):
        export(target, path_for(tmp_path, target), weights, meta, image)
    with (tmp_path / 'out.pkl').open('rb') as file:
        content = pickle.load(file)
    assert content['meta'] == meta
    assert content['matching_heuristics'] is True
    assert type(content['model']['stem.conv1.norm.weight']) is np.ndarray
    with safe_open(tmp_path / 'out.safetensors', framework='np') as file:
        assert json.loads(file.metadata()['sce_mm']) == meta
    (entry,) = onnx.load(tmp_path / 'out.onnx').metadata_props
    assert (entry.key, json.loads(entry.value)) == ('sce_mm', meta)


@pytest.mark.parametrize(
    ('kind', 'works', 'message'),
    [
        ('narrow', 'mmpretrain mmdet detectron2 onnx', 'has only 64 of each'),
        ('small', 'mmpretrain mmdet safetensors onnx', 'for small images'),
        ('caffe', 'mmpretrain mmdet detectron2 onnx', 'with style caffe'),
    ],
)
def test_what_a_library_cannot_express_is_refused(
    backbones, image, tmp_path, kind, works, message
):
    weights, meta = backbones[kind]
    if kind == 'caffe':
        # Of standard width, so that the strides are what stands in the way.
        weights, meta = backbones[50][0], meta
    for target in works.split() if kind != 'caffe' else ():
        assert (
            export(target, path_for(tmp_path, target), weights, meta, image)
            < 1e-4
        )
    refused = ['torchvision', 'timm'] + ['detectron2'] * (kind == 'small')
    for target in refused:
        path = path_for(tmp_path / 'refused', target)
        with pytest.raises(CheckpointError, match=message):
            export(target, path, weights, meta, image)
        assert not path.parent.exists()


def test_unknown_strides_and_wrong_suffixes_are_refused(
    backbones, image, tmp_path
):
    weights, meta = backbones[50]
    with pytest.raises(CheckpointError, match='add --style pytorch'):
        export(
            'timm', tmp_path / 'a.pth', weights, meta | {'style': None}, image
        )
    with pytest.raises(CheckpointError, match=r'has to end in \.pkl'):
        export('detectron2', tmp_path / 'a.pth', weights, meta, image)
    assert list(tmp_path.iterdir()) == []


def test_a_library_that_computes_something_else_is_caught(
    backbones, image, tmp_path, monkeypatch
):
    target = TARGETS['safetensors']

    def write_wrongly(path, weights, meta):
        changed = weights | {'bn1.bias': weights['bn1.bias'] + 0.01}
        _, other = extract_backbone(changed)
        target.write(path, changed, other)

    wrong = target._replace(write=write_wrongly)
    monkeypatch.setitem(package.TARGETS, 'safetensors', wrong)
    with pytest.raises(CheckpointError, match='computes other features'):
        export(
            'safetensors',
            tmp_path / 'a.safetensors',
            *backbones['narrow'],
            image,
        )
    assert list(tmp_path.iterdir()) == []


def test_a_missing_library_is_named_with_the_command(
    backbones, image, tmp_path, monkeypatch
):
    import sys

    monkeypatch.setitem(sys.modules, 'timm', None)
    with pytest.raises(ImportError, match='pip install timm'):
        export('timm', tmp_path / 'a.pth', *backbones[18], image)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('target', ['torchvision', 'timm', 'safetensors'])
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
    assert re.search(rf'checked: features of a photograph in {target}', text)
    names = {}
    exec(
        text[
            text.index('\nimport' if target != 'safetensors' else '\nfrom') :
        ],
        names,
    )
    loaded = (
        names['model'].state_dict() if 'model' in names else names['weights']
    )
    assert all(torch.equal(loaded[k], weights[k]) for k in weights)
