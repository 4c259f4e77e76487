"""The command that writes backbone files."""

import pytest
import torch
import torchvision
from mmpretrain.models import EfficientNet
from networks import trained_network
from tiny_runner import build_runner
from transfer_files import METADATA, prefixed, run_tool, trained

from sce_mm.checkpoints.reading import TYPES_CAN_BE_ALLOWED

pytestmark = pytest.mark.integration


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    """Of a Runner, with the statistics of its preprocessor."""
    folder = tmp_path_factory.mktemp('training')
    preprocessor = {
        'type': 'SelfSupDataPreprocessor',
        'mean': METADATA['mean'],
        'std': METADATA['std'],
        'to_rgb': True,
    }
    hooks = (
        {'type': 'MomentumUpdateHook', 'momentum': 0.1},
        {'type': 'TransferMetaHook'},
    )
    runner, _ = build_runner(
        folder, hooks=hooks, model={'data_preprocessor': preprocessor}
    )
    runner.train()
    return folder / 'epoch_2.pth'


@pytest.fixture
def extract(root, capsys, monkeypatch):
    """``extract(CKPT, OUT, ...)``: exit code and text of the command."""
    tool = root / 'tools' / 'model_converters' / 'extract_backbone.py'
    trust = [] if TYPES_CAN_BE_ALLOWED else ['--trust']
    return lambda *words: run_tool(tool, capsys, monkeypatch, *words, *trust)


@pytest.mark.parametrize('branch', ['online', 'momentum'])
def test_a_training_checkpoint(extract, checkpoint, tmp_path, branch):
    out = tmp_path / 'backbone.pth'
    code, text = extract(checkpoint, out, '--branch', branch)
    assert code == 0, text
    assert 'source: sce_mm pretraining' in text
    content = torch.load(out, weights_only=True)
    known = METADATA | {'arch': 'TinyBackbone', 'epochs': 2, 'style': None}
    known['mean'] = pytest.approx(known['mean'])
    assert {k: content['meta'][k] for k in known} == known
    assert content['meta']['branch'] == branch
    state = torch.load(checkpoint, weights_only=False)['state_dict']
    prefix = {'online': '', 'momentum': 'momentum_encoder.'}[branch]
    for name, tensor in content['state_dict'].items():
        assert torch.equal(tensor, state[f'{prefix}backbone.{name}'])


def test_existing_files_are_not_touched_unasked(extract, checkpoint, tmp_path):
    out = tmp_path / 'backbone.pth'
    out.write_text('mine')
    code, text = extract(checkpoint, out)
    assert (code, 'add --overwrite' in text) == (1, True)
    assert out.read_text() == 'mine'
    _, text = extract(checkpoint, checkpoint, '--overwrite')
    assert 'OUT and CHECKPOINT are the same' in text
    assert extract(checkpoint, out, '--overwrite')[0] == 0


def test_metadata_may_be_added_but_not_contradicted(
    extract, checkpoint, tmp_path
):
    out = tmp_path / 'backbone.pth'
    code, text = extract(checkpoint, out, '--channel-order', 'bgr')
    assert code == 1
    assert "says channel_order='rgb', not 'bgr'" in text
    code, text = extract(checkpoint, out, '--style', 'pytorch')
    assert code == 0, text
    meta = torch.load(out, weights_only=True)['meta']
    assert meta['style'] == 'pytorch'


def test_a_network_that_no_tensor_shows_is_that_of_a_config(
    extract, tmp_path, monkeypatch
):
    """A file of mmpretrain with a classifier, and one that lacks a tensor."""
    weights = trained_network('mobilenet').state_dict()
    head = {'head.fc.weight': torch.ones(10, 1280)}
    path, out = tmp_path / 'classifier.pth', tmp_path / 'backbone.pth'
    torch.save(prefixed('backbone.', weights) | head, path)
    config = tmp_path / 'config.py'
    config.write_text(
        "model = dict(backbone=dict(type='mmpretrain.MobileNetV2',"
        ' widen_factor=0.25))'
    )
    code, text = extract(path, out)
    assert (code, '--network CONFIG' in text) == (1, True)
    code, text = extract(path, out, '--network', config, '--imagenet')
    assert code == 0, text
    content = torch.load(out, weights_only=True)
    assert content['state_dict'].keys() == weights.keys()
    for name, tensor in content['state_dict'].items():
        assert torch.equal(tensor, weights[name]), name
    assert content['meta']['arch'] == 'MobileNetV2'
    assert content['meta']['mean'] == METADATA['mean']

    lacking = dict(weights, surplus=torch.ones(1))
    del lacking['layer3.0.conv.0.conv.weight']
    torch.save(lacking, path)
    words = (path, out, '--network', config, '--overwrite')
    code, text = extract(*words)
    assert code == 1
    assert '1 missing in the file: layer3.0.conv.0.conv.weight' in text
    torch.save(dict(weights, surplus=torch.ones(1)), path)
    said = []
    monkeypatch.setattr('sce_mm.transfer.formats.warn', said.append)
    assert extract(*words)[0] == 0
    assert said[0].endswith('left out: surplus')

    # All tensors of the network, and a block more: of a deeper one.
    deeper = {'layer3.9.conv.0.conv.weight': torch.ones(1)}
    torch.save(weights | deeper, path)
    code, text = extract(*words)
    assert code == 1
    assert 'has no place for: layer3.9.conv.0.conv.weight' in text


@pytest.mark.parametrize('keys', ['state_dict state_dict_ema', 'model_ema'])
def test_averaged_weights_are_named_where_they_are_left_out(
    extract, tmp_path, keys
):
    path = tmp_path / 'timm.pth'
    torch.save(dict.fromkeys(keys.split(), trained(width=8)), path)
    code, text = extract(path, tmp_path / 'backbone.pth')
    assert code == 0, text
    beside = 'averaged weights under state_dict_ema are left out'
    assert (beside in text) == ('state_dict_ema' in keys)


def test_layers_behind_the_last_output_of_a_config_are_left_out_by_name(
    extract, tmp_path
):
    """mmdet's EfficientNet does not build them."""
    pytest.importorskip('mmdet')
    network = EfficientNet('b0').state_dict()
    path, out = tmp_path / 'b0.pth', tmp_path / 'backbone.pth'
    torch.save(prefixed('backbone.', network), path)
    config = tmp_path / 'config.py'
    config.write_text(
        "model = dict(backbone=dict(type='mmdet.EfficientNet', arch='b0',"
        ' out_indices=(3, 4)))\n'
        "custom_imports = dict(imports=['sce_mm.detection'])"
    )
    words = (out, '--network', config)
    code, text = extract(path, *words)
    assert code == 0, text
    assert 'config.py ends before them: layers.5, layers.6\n' in text
    kept = torch.load(out, weights_only=True)['state_dict']
    parts = 'layers.5.', 'layers.6.'
    assert [*kept] == [n for n in network if not n.startswith(parts)]
    # The file is that of the same config, and a deeper one is another.
    again = tmp_path / 'again.pth'
    assert extract(out, again, '--network', config)[0] == 0
    torch.save(network | {'layers.4.9.conv.weight': torch.ones(1)}, path)
    code, text = extract(path, *words, '--overwrite')
    assert (code, 'has no place for: layers.4.9' in text) == (1, True)


def test_the_next_step_is_one_that_works(extract, tmp_path):
    source, out = tmp_path / 'resnet18.pth', tmp_path / 'backbone.pth'
    weights = torchvision.models.resnet18(weights=None).state_dict()
    torch.save(weights, source)
    code, text = extract(source, out)
    assert code == 0, text
    # sce detector would refuse the file.
    assert '--imagenet' in text
    assert 'channel_order, mean, std' in text
    assert 'MMDET_CONFIG' not in text
    assert '--overwrite' in text
    # Levels from 0 to 1 beside a std for 0 to 255.
    mean = '--mean', '0.485', '0.456', '0.406'
    code, text = extract(source, out, '--imagenet', *mean, '--overwrite')
    assert (code, 'give 255 times as much, mean 123.675' in text) == (1, True)
    names = '--arch', 'resnet18', '--imagenet'
    _, text = extract(source, out, *names, '--overwrite')
    assert torch.load(out, weights_only=True)['meta']['arch'] == 'ResNet-18'
    assert 'MMDET_CONFIG' in text
