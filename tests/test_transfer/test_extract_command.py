"""The command that writes backbone files, and batch norm measured again."""

import cv2
import numpy as np
import pytest
import torch
from tiny_runner import build_runner
from transfer_files import METADATA, prefixed, run_tool, trained

from sce_mm.checkpoints.reading import TYPES_CAN_BE_ALLOWED
from sce_mm.transfer import (
    Backbone,
    CheckpointError,
    extract_backbone,
    read_checkpoint,
)
from sce_mm.transfer.export.recalibrate import as_input, recalibrate

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
    assert 'OUT is the checkpoint itself' in text
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


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """64 noisy images, and a file that is none."""
    path = tmp_path_factory.mktemp('images')
    generator = np.random.default_rng(0)
    for index in range(64):
        image = generator.integers(0, 256, (40, 48, 3), np.uint8)
        cv2.imwrite(str(path / f'{index:02}.png'), image)
    (path / 'broken.png').write_bytes(b'x')
    return path


def small():
    weights, meta = extract_backbone(trained(width=8, small=True))
    return Backbone(weights, meta | METADATA)


def test_the_stem_has_the_statistics_of_what_it_sees(folder):
    weights, meta = small()
    measured, said = recalibrate(Backbone(weights, meta), folder)
    images = [
        as_input(cv2.imread(str(path)), METADATA, 32)
        for path in sorted(folder.glob('[0-9]*.png'))
    ]
    seen = [
        torch.nn.functional.conv2d(
            torch.stack(part), weights['conv1.weight'], padding=1
        )
        for part in (images[:32], images[32:])
    ]
    for name, values in (
        ('mean', [s.mean((0, 2, 3)) for s in seen]),
        ('var', [s.transpose(0, 1).flatten(1).var(1) for s in seen]),
    ):
        expected = torch.stack(values).mean(0)
        assert torch.allclose(measured[f'bn1.running_{name}'], expected, 1e-4)
    changed = {k for k in weights if not torch.equal(weights[k], measured[k])}
    assert {k.rsplit('.', 1)[1] for k in changed} == {
        'running_mean',
        'running_var',
        'num_batches_tracked',
    }
    assert said['statistics'] == 'measured again on 64 images'
    assert said['sha256'] != meta['sha256']


def test_a_few_images_are_no_statistics(tmp_path):
    for index in range(3):
        cv2.imwrite(str(tmp_path / f'{index}.png'), np.ones((9, 9, 3)))
    with pytest.raises(CheckpointError, match=r'has 3 images.* at least 32'):
        recalibrate(small(), tmp_path)


def test_a_mixed_branch_is_recalibrated(extract, folder, tmp_path):
    weights = trained(width=8, small=True)
    tensors = prefixed('backbone.', weights)
    tensors |= prefixed('encoder_k.module.0.', weights)
    path, out = tmp_path / 'moco.pth', tmp_path / 'out.pth'
    torch.save({'state_dict': tensors}, path)
    words = [path, out, '--branch', 'momentum', '--recalibrate', folder]
    code, text = extract(*words)
    assert (code, 'add --imagenet or each of them' in text) == (1, True)
    assert not out.exists()
    code, text = extract(*words, '--imagenet')
    assert code == 0, text
    # Read again, it is what it is.
    again, meta = extract_backbone(read_checkpoint(out), 'momentum')
    assert meta['statistics'] == 'measured again on 64 images'
    assert torch.equal(again['conv1.weight'], weights['conv1.weight'])
