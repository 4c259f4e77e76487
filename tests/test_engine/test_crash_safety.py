"""A run that is killed or stopped loses one interval at most."""

import os
import random
import signal
import time

import pytest
import torch
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS
from resumable import run

from sce_mm.checkpoints import durable_files
from sce_mm.checkpoints.durable_files import WriteError
from sce_mm.checkpoints.newest import newest_whole_checkpoint
from sce_mm.transfer import read_checkpoint
from sce_mm.utils.workers import ShieldedWorker

pytestmark = pytest.mark.integration


@HOOKS.register_module(force=True)
class SignalHook(Hook):
    """Sends this process a signal within an iteration."""

    def __init__(self, at, number=signal.SIGTERM):
        self.at, self.number = at, number

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.at:
            os.kill(os.getpid(), self.number)


@HOOKS.register_module(force=True)
class ProgressHook(Hook):
    """Tells the parent how far a killed run had come."""

    def __init__(self, path):
        self.path = str(path)

    def after_train_iter(self, runner, batch_idx, data_batch, outputs):
        with open(self.path, 'a') as file:
            file.write(f'{runner.iter + 1}\n')


@pytest.fixture(scope='module', autouse=True)
def _one_thread():
    """A process with a pool of threads must not fork and go on computing."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    return run(tmp_path_factory.mktemp('whole'))


def same(first, second):
    for name, value in first.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[name]), name


def test_a_signal_saves_and_the_run_resumes_exactly(tmp_path, monkeypatch):
    # Four iterations a step: a signal in the third stops after the fourth.
    options = {'accumulate': 4, 'model': {'queue_length': 48}}
    options['hook'] = {'by_epoch': True, 'interval': 1}
    uninterrupted, record = run(tmp_path / 'whole', **options)
    marker = tmp_path / 'marker'
    monkeypatch.setenv('SCE_MM_STOPPED_FILE', str(marker))
    handler = signal.getsignal(signal.SIGTERM)
    stopping = {'type': 'PreemptionHook'}
    work = tmp_path / 'work'
    with pytest.raises(SystemExit) as end:
        run(work, more=(stopping, SignalHook(2)), **options)
    assert end.value.code == 75
    assert marker.exists()
    assert signal.getsignal(signal.SIGTERM) is handler
    assert [p.name for p in work.glob('*.pth')] == ['stopped_at_iter_4.pth']
    resumed, rest = run(work, 'auto', more=(stopping,), **options)
    assert torch.equal(
        torch.stack(rest.losses), torch.stack(record.losses[4:])
    )
    same(uninterrupted, resumed)
    # It made way for the next regular one.
    assert {p.name for p in work.glob('*.pth')} == {
        'epoch_1.pth',
        'epoch_2.pth',
        'epoch_3.pth',
    }


@pytest.mark.parametrize(('seconds', 'code'), [(0.1, 75), (1.3, 130)])
def test_a_second_ctrl_c_ends_at_once_unless_it_is_the_same_press(
    tmp_path, monkeypatch, capfd, seconds, code
):
    class PressTwice(Hook):
        def before_train_iter(self, runner, batch_idx, data_batch=None):
            if runner.iter in (0, 1):
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(seconds)

    def leave(code):
        raise SystemExit(code)

    monkeypatch.setattr(os, '_exit', leave)
    options = {'accumulate': 4, 'model': {'queue_length': 48}}
    with pytest.raises(SystemExit) as end:
        run(
            tmp_path,
            more=({'type': 'PreemptionHook'}, PressTwice()),
            **options,
        )
    assert end.value.code == code
    assert capfd.readouterr().err.count('once more to end at once') == 1
    assert bool(list(tmp_path.glob('stopped_at_iter_4.pth'))) == (code == 75)


def test_a_signal_in_the_last_step_lets_the_run_finish(tmp_path):
    runner, record = run(
        tmp_path, more=({'type': 'PreemptionHook'}, SignalHook(14))
    )
    assert len(record.losses) == 15
    loader = runner.train_dataloader
    assert isinstance(loader.worker_init_fn, ShieldedWorker)


def test_stopping_needs_something_to_save_with(tmp_path):
    with pytest.raises(ValueError, match='saves through DurableCheckpoint'):
        run(
            tmp_path,
            more=({'type': 'PreemptionHook'},),
            default_hooks={'logger': None},
        )


def kill_and_resume(whole, folder, kills, seed):
    """Kill a run that saves at every iteration, again and again."""
    draw = random.Random(seed)
    runner, record = whole
    progress = folder / 'progress'
    moments = []
    for _ in range(kills):
        child = os.fork()
        if child == 0:
            signal.alarm(60)
            hook = {'by_epoch': False, 'interval': 1, 'max_keep_ckpts': 2}
            run(folder, 'auto', more=(ProgressHook(progress),), hook=hook)
            os._exit(0)
        done = len(progress.read_text().split()) if progress.exists() else 0
        deadline = time.monotonic() + 60
        # From the first iteration of this run on, at any moment.
        while time.monotonic() < deadline and os.waitpid(
            child, os.WNOHANG
        ) == (0, 0):
            if progress.exists() and (
                len(progress.read_text().split()) > done
            ):
                time.sleep(draw.uniform(0, 0.5))
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                break
            time.sleep(0.001)
        reached = int(progress.read_text().split()[-1])
        found = newest_whole_checkpoint(folder, ('iter_{}.pth',))
        saved = 0 if found is None else read_checkpoint(found)['meta']['iter']
        assert saved >= reached - 1
        moments.append((reached, saved))
    assert len(list(folder.glob('iter_*.pth'))) <= 4
    resumed, rest = run(folder, 'auto', hook={'interval': 1})
    start = 15 - len(rest.losses)
    if rest.losses:
        assert torch.equal(
            torch.stack(rest.losses), torch.stack(record.losses[start:])
        )
    same(runner, resumed)
    return moments


def test_killed_at_any_moment(tmp_path, whole):
    kill_and_resume(whole, tmp_path, kills=4, seed=0)


@pytest.mark.evidence
@pytest.mark.parametrize('seed', range(5))
def test_killed_at_thirty_moments(tmp_path, whole, seed):
    print(kill_and_resume(whole, tmp_path, kills=6, seed=seed))


def test_a_full_disk_names_the_last_good_file(tmp_path, monkeypatch):
    original = durable_files.write_durably

    def refuse(path, data):
        if str(path).endswith('iter_4.pth'):
            raise WriteError(f'cannot write {path}: No space left on device')
        original(path, data)

    monkeypatch.setattr(durable_files, 'write_durably', refuse)
    with pytest.raises(WriteError, match=r'last good checkpoint is .*iter_2'):
        run(tmp_path)
    assert newest_whole_checkpoint(tmp_path, ('iter_{}.pth',)) == (
        tmp_path / 'iter_2.pth'
    )
    assert (tmp_path / 'last_checkpoint').read_text().endswith('iter_2.pth')


def test_old_files_go_only_after_the_new_one_is_whole(tmp_path, monkeypatch):
    original = durable_files.write_durably
    there = []

    def watch(path, data):
        there.append({p.name for p in tmp_path.glob('iter_*.pth')})
        original(path, data)

    monkeypatch.setattr(durable_files, 'write_durably', watch)
    run(tmp_path, hook={'max_keep_ckpts': 1})
    # While each file is written the one before is there.
    names = [f'iter_{i}.pth' for i in (2, 4, 6, 8, 10, 12, 14)]
    assert there == [set(), *({name} for name in names)]
    assert [p.name for p in tmp_path.glob('iter_*.pth')] == ['iter_15.pth']
