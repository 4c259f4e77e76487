"""``backbone.pth`` is the backbone of the newest checkpoint, or not there."""

import pytest
import torch
from resumable import run
from resume_worker import SignalHook

from sce_mm.checkpoints.newest import newest_whole_checkpoint
from sce_mm.engine.hooks.durable_checkpoint_hook import STOPPED
from sce_mm.transfer import extract_backbone, read_checkpoint

pytestmark = pytest.mark.integration

HOOKS = ({'type': 'TransferMetaHook'}, {'type': 'BackboneFileHook'})


def is_of_newest(folder):
    """Whether the file is what ``sce extract`` makes of the checkpoint."""
    newest = newest_whole_checkpoint(folder, ('iter_{}.pth', STOPPED))
    expected = extract_backbone(read_checkpoint(newest))
    found = extract_backbone(read_checkpoint(folder / 'backbone.pth'))
    return found.meta == expected.meta and all(
        torch.equal(found.weights[name], tensor)
        for name, tensor in expected.weights.items()
    )


def test_it_is_that_of_each_checkpoint_and_training_is_the_same(tmp_path):
    plain, record = run(tmp_path / 'plain')
    work = tmp_path / 'work'
    stopping = ({'type': 'PreemptionHook'}, SignalHook(6))
    with pytest.raises(SystemExit):
        run(work, more=(*HOOKS, *stopping))
    assert (work / 'stopped_at_iter_7.pth').exists()
    assert is_of_newest(work)
    resumed, rest = run(work, 'auto', more=HOOKS)
    assert is_of_newest(work)
    assert rest.losses == record.losses[7:]
    for name, value in plain.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
    found = torch.load(work / 'backbone.pth', weights_only=True)['meta']
    assert (found['branch'], found['epochs']) == ('online', 2)


def test_a_file_that_cannot_be_written_does_not_end_the_run(tmp_path):
    (tmp_path / 'backbone.pth').mkdir()
    _, record = run(tmp_path, more=HOOKS, log_level='WARNING')
    assert len(record.losses) == 15
    assert (tmp_path / 'iter_14.pth').is_file()
    assert not list(tmp_path.glob('.backbone*'))
    log = next(tmp_path.glob('*/*.log')).read_text()
    assert 'backbone.pth is not that of this checkpoint: cannot write' in log


def test_it_needs_to_know_when_a_checkpoint_is_whole(tmp_path):
    with pytest.raises(ValueError, match=r'backbone_file=None'):
        run(tmp_path, more=HOOKS, default_hooks={'logger': None})
