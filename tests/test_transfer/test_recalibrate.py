"""Statistics of batch norm measured anew are those of the images."""

import cv2
import numpy as np
import pytest
import torch
from transfer_files import FACTS, run_tool, trained

from sce_mm.transfer import CheckpointError, extract_backbone, read_checkpoint
from sce_mm.transfer.export.images import as_input
from sce_mm.transfer.export.recalibrate import recalibrate


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """64 noisy pictures, and a file that is none."""
    path = tmp_path_factory.mktemp('pictures')
    generator = np.random.default_rng(0)
    for index in range(64):
        picture = generator.integers(0, 256, (40, 48, 3), np.uint8)
        cv2.imwrite(str(path / f'{index:02}.png'), picture)
    (path / 'broken.png').write_bytes(b'x')
    return path


def test_the_stem_has_the_statistics_of_what_it_sees(folder):
    weights, meta = extract_backbone(trained(width=8, small=True))
    measured, said = recalibrate(weights, meta | FACTS, folder)
    images = [
        as_input(cv2.imread(str(path)), FACTS, 32)
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
    assert said['statistics'] == 'measured anew on 64 images'
    assert said['sha256'] != meta['sha256']


def test_a_mixed_branch_through_the_command(
    root, folder, tmp_path, capsys, monkeypatch
):
    weights = trained(width=8, small=True)
    tensors = {f'backbone.{k}': v for k, v in weights.items()}
    tensors |= {f'encoder_k.module.0.{k}': v for k, v in weights.items()}
    path, out = tmp_path / 'moco.pth', tmp_path / 'out.pth'
    torch.save({'state_dict': tensors}, path)
    tool = root / 'tools' / 'model_converters' / 'extract_backbone.py'
    words = [path, out, '--branch', 'momentum']
    code, text = run_tool(tool, capsys, monkeypatch, *words)
    assert (code, 'add --recalibrate DIR' in text) == (1, True)
    words += ['--recalibrate', folder]
    code, text = run_tool(tool, capsys, monkeypatch, *words)
    assert (code, 'add --imagenet or each of them' in text) == (1, True)
    assert not out.exists()
    code, text = run_tool(tool, capsys, monkeypatch, *words, '--imagenet')
    assert code == 0, text
    assert 'statistics: measured anew on 64 images' in text
    # Read again, it is what it is.
    again, meta = extract_backbone(read_checkpoint(out), 'momentum')
    assert meta['statistics'] == 'measured anew on 64 images'
    assert torch.equal(again['conv1.weight'], weights['conv1.weight'])


def test_a_few_images_are_no_statistics(tmp_path):
    weights, meta = extract_backbone(trained(width=8, small=True))
    for index in range(3):
        cv2.imwrite(str(tmp_path / f'{index}.png'), np.ones((9, 9, 3)))
    with pytest.raises(CheckpointError, match=r'has 3 images.* at least 32'):
        recalibrate(weights, meta | FACTS, tmp_path)
