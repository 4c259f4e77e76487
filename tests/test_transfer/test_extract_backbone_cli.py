"""The command that writes backbone files, on a checkpoint of a training."""

from types import SimpleNamespace

import pytest
import torch
from tiny_runner import build_runner
from transfer_files import run_tool

pytestmark = pytest.mark.integration

LISTS = hasattr(torch.serialization, 'get_unsafe_globals_in_checkpoint')


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    """Of a Runner, with the statistics of its preprocessor."""
    folder = tmp_path_factory.mktemp('training')
    preprocessor = {
        'type': 'SelfSupDataPreprocessor',
        'mean': [123.675, 116.28, 103.53],
        'std': [58.395, 57.12, 57.375],
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
    """``extract(CKPT, OUT, ...)`` runs the command."""
    tool = root / 'tools' / 'model_converters' / 'extract_backbone.py'
    trust = [] if LISTS else ['--trust']

    def run(*words):
        code, text = run_tool(tool, capsys, monkeypatch, *words, *trust)
        return SimpleNamespace(code=code, text=text)

    return run


@pytest.mark.parametrize('branch', ['online', 'momentum'])
def test_a_training_checkpoint(extract, checkpoint, tmp_path, branch):
    out = tmp_path / 'backbone.pth'
    done = extract(checkpoint, out, '--branch', branch)
    assert done.code == 0, done.text
    assert 'source: sce_mm pretraining' in done.text
    content = torch.load(out, weights_only=True)
    meta = content['meta']
    assert meta['branch'] == branch
    assert meta['method'] == 'SCE'
    assert meta['arch'] == 'TinyBackbone'
    assert meta['epochs'] == 2
    assert meta['channel_order'] == 'rgb'
    assert meta['mean'] == pytest.approx([123.675, 116.28, 103.53])
    state = torch.load(checkpoint, weights_only=False)['state_dict']
    prefix = {'online': '', 'momentum': 'momentum_encoder.'}[branch]
    for name, tensor in content['state_dict'].items():
        assert torch.equal(tensor, state[f'{prefix}backbone.{name}'])


def test_existing_files_are_not_touched_unasked(extract, checkpoint, tmp_path):
    out = tmp_path / 'backbone.pth'
    out.write_text('mine')
    done = extract(checkpoint, out)
    assert done.code == 1
    assert 'add --overwrite' in done.text
    assert out.read_text() == 'mine'
    done = extract(checkpoint, checkpoint, '--overwrite')
    assert 'OUT is the checkpoint itself' in done.text
    assert extract(checkpoint, out, '--overwrite').code == 0


def test_facts_may_be_added_but_not_contradicted(
    extract, checkpoint, tmp_path
):
    out = tmp_path / 'backbone.pth'
    done = extract(checkpoint, out, '--channel-order', 'bgr')
    assert done.code == 1
    assert "says channel_order='rgb', not 'bgr'" in done.text
    done = extract(checkpoint, out, '--style', 'pytorch')
    assert done.code == 0, done.text
    meta = torch.load(out, weights_only=True)['meta']
    assert meta['style'] == 'pytorch'
