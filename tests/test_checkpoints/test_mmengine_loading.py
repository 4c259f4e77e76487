"""What comes from a checkpoint is never run, whoever loads it."""

import re

import pytest
import torch
from mmengine.runner import CheckpointLoader

from sce_mm.checkpoints.mmengine_loading import install_safe_loader
from sce_mm.cli.commands.replay import replay
from sce_mm.transfer import CheckpointError
from tests.helpers.resumable import run
from tests.helpers.tiny_runner import build_runner

pytestmark = pytest.mark.integration


class Attack:
    """Touches a file if it is ever unpickled freely."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return (open, (str(self.target), 'w'))


@pytest.fixture
def guarded(monkeypatch):
    """Guarded for one test only."""
    schemes = dict(CheckpointLoader._schemes)
    monkeypatch.setattr(CheckpointLoader, '_schemes', schemes)
    install_safe_loader()


def test_load_from_unpickles_nothing(guarded, tmp_path):
    path, trace = tmp_path / 'attack.pth', tmp_path / 'ran'
    torch.save({'state_dict': {}, 'x': Attack(trace)}, path)
    runner, _ = build_runner(tmp_path / 'run')
    with pytest.raises(CheckpointError, match='pass --trust'):
        runner.load_checkpoint(str(path))
    assert not trace.exists()


def test_resuming_runs_no_config_of_the_checkpoint(guarded, tmp_path):
    _, record = run(tmp_path / 'whole')
    path, trace = tmp_path / 'whole' / 'iter_8.pth', tmp_path / 'ran'
    content = torch.load(path, weights_only=False)
    content['meta']['config'] = f'open({str(trace)!r}, "w").close()'
    torch.save(content, path)
    _, rest = run(tmp_path / 'resumed', path)
    assert not trace.exists()
    assert torch.equal(
        torch.stack(rest.losses), torch.stack(record.losses[8:])
    )


def test_replay_runs_nothing_of_its_file(tmp_path):
    path, trace = tmp_path / 'run' / 'not_finite' / 'a.pth', tmp_path / 'ran'
    path.parent.mkdir(parents=True)
    text = f'open({str(trace)!r}, "w").close()'
    torch.save({'config': text, 'batches': []}, path)
    message = f'no config in {re.escape(str(path.parents[1]))}: .*--config'
    with pytest.raises(FileNotFoundError, match=message):
        replay(str(path))
    assert not trace.exists()
