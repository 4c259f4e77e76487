"""A folder of photographs through the command line, killed and resumed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from sce_mm.cli.commands import shards
from sce_mm.transfer import extract_backbone, read_checkpoint

pytestmark = pytest.mark.integration

CONFIG = 'configs/sce/sce_resnet18_1xb64-coslr-200e_folder.py'
SMALL = [
    'train_dataloader.batch_size=6',
    'train_dataloader.dataset.pipeline.1.views.0.size=32',
    'train_dataloader.dataset.pipeline.1.views.1.size=32',
    'model.queue.length=24',
    'model.backbone.base_channels=8',
    'model.backbone.stem_channels=8',
    'model.neck.in_channels=64',
    'train_cfg.max_epochs=3',
    'param_scheduler.warmup_epochs=1',
    'default_hooks.logger.interval=1',
    'default_hooks.checkpoint.by_epoch=False',
]


@pytest.fixture
def photos(tmp_path):
    """Twenty images of several kinds in nested folders, three broken."""
    folder = tmp_path / 'photos'
    random = np.random.default_rng(0)
    kinds = ['jpg', 'png', 'webp', 'bmp', 'JPEG']
    for index in range(20):
        coarse = random.integers(0, 255, (5, 6, 3), dtype=np.uint8)
        image = cv2.resize(coarse, (72, 60), interpolation=cv2.INTER_CUBIC)
        path = folder / f'sub{index % 3}' / f'{index}.{kinds[index % 5]}'
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), image[:, :, 0] if index == 7 else image)
    good = (folder / 'sub0' / '0.jpg').read_bytes()
    (folder / 'cut.jpg').write_bytes(good[: len(good) // 2])
    (folder / 'empty.png').touch()
    (folder / 'sub1' / 'text.jpg').write_text('not an image')
    return folder


def command(root, photos, work_dir, *more):
    return [
        sys.executable,
        str(root / 'tools' / 'train.py'),
        str(root / CONFIG),
        '--data',
        str(photos),
        '--work-dir',
        str(work_dir),
        *more,
        '--cfg-options',
        *SMALL,
    ]


def train(root, photos, work_dir, *more):
    env = os.environ | {'OMP_NUM_THREADS': '1'}
    return subprocess.run(
        command(root, photos, work_dir, *more),
        capture_output=True,
        text=True,
        env=env,
    )


def logged_losses(work_dir):
    losses = {}
    for path in sorted(work_dir.glob('*/vis_data/scalars.json')):
        for line in path.read_text().splitlines():
            entry = json.loads(line)
            losses[entry['step']] = entry['loss']
    return losses


def test_a_folder_is_enough_and_a_killed_run_goes_on(root, photos, tmp_path):
    work_dir = tmp_path / 'whole'
    whole = train(root, photos, work_dir)
    assert whole.returncode == 0, whole.stdout[-3000:] + whole.stderr[-3000:]
    output = whole.stdout + whole.stderr
    for name in ('cut.jpg', 'empty.png', 'text.jpg'):
        assert f'{name} (' in output
    for name in ('target_entropy', 'neighbours', 'embedding_std', 'eta'):
        assert f'{name}: ' in whole.stdout
    assert 'gt_label' not in output
    # Long descriptions are in the log file alone.
    (log,) = work_dir.glob('*/*.log')
    for text in ('System environment', 'Config:', 'Hooks will be executed'):
        assert text in log.read_text()
        assert text not in output
    assert 'OneDL' not in output
    expected = logged_losses(work_dir)
    assert len(expected) == 9
    assert list(work_dir.glob('*/vis_data/events*'))

    # Tar files of the same images, broken ones too, are the same training.
    shards.main([str(photos), str(tmp_path / 'shards')])
    packed = train(root, tmp_path / 'shards', tmp_path / 'packed')
    assert packed.returncode == 0, packed.stderr[-3000:]
    assert logged_losses(tmp_path / 'packed') == expected

    killed = tmp_path / 'killed'
    process = subprocess.Popen(
        command(root, photos, killed),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {'OMP_NUM_THREADS': '1'},
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not (killed / 'last_checkpoint').exists():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    resumed = train(root, photos, killed, '--resume')
    assert resumed.returncode == 0, resumed.stderr[-3000:]
    assert 'resumed epoch: ' in resumed.stdout + resumed.stderr
    assert logged_losses(killed) == expected
    first, second = (
        torch.load(path / 'iter_9.pth', weights_only=False)['state_dict']
        for path in (work_dir, killed)
    )
    for name, value in first.items():
        assert torch.equal(value, second[name]), name
    # Two checkpoints are kept besides the last.
    names = {path.name for path in killed.glob('*.pth')}
    kept = {'iter_7.pth', 'iter_8.pth', 'iter_9.pth'}
    assert names == {*kept, 'backbone.pth'}
    assert not list(killed.glob('.*.partial'))
    # What it hands over: how it was started, the weights, what to type next.
    starts = (killed / 'commands.txt').read_text().splitlines()[1::2]
    assert len(starts) == 2
    assert '--resume' in starts[1]
    said = resumed.stdout[resumed.stdout.index('backbone: ') :]
    weights = extract_backbone(read_checkpoint(killed / 'backbone.pth'))
    assert weights.meta['sha256'][:12] in said
    assert f'{killed / Path(CONFIG).name} {killed / "backbone.pth"}' in said
