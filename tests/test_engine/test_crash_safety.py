"""A run that is killed or stopped loses one interval at most."""

import os
import random
import signal
import time

import pytest
import torch
from mmengine.hooks import Hook
from resumable import run
from resume_worker import SignalHook

from sce_mm.checkpoints.newest import newest_whole_checkpoint
from sce_mm.transfer import read_checkpoint
from sce_mm.utils import durable_files
from sce_mm.utils.durable_files import WriteError
from sce_mm.utils.workers import ShieldedWorker

pytestmark = pytest.mark.integration


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
    assert rest.losses == record.losses[4:]
    same(uninterrupted, resumed)
    # It made way for the next regular one.
    assert not list(work.glob('stopped*'))


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
    hooks = {'type': 'PreemptionHook'}, PressTwice()
    model = {'queue_length': 48}
    with pytest.raises(SystemExit) as end:
        run(tmp_path, more=hooks, accumulate=4, model=model)
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
    with pytest.raises(ValueError, match='preemption=None'):
        run(
            tmp_path,
            more=({'type': 'PreemptionHook'},),
            default_hooks={'logger': None},
        )


def test_killed_at_any_moment(tmp_path, whole):
    """A run that saves at every iteration is killed again and again."""
    draw = random.Random(0)
    runner, record = whole
    progress = tmp_path / 'progress'
    progress.touch()
    for _ in range(4):
        done = progress.stat().st_size
        child = os.fork()
        if child == 0:
            signal.alarm(60)
            hook = {'by_epoch': False, 'interval': 1, 'max_keep_ckpts': 2}
            run(tmp_path, 'auto', more=(ProgressHook(progress),), hook=hook)
            os._exit(0)
        # From the first iteration of this run on, at any moment.
        while os.waitpid(child, os.WNOHANG) == (0, 0):
            if progress.stat().st_size > done:
                time.sleep(draw.uniform(0, 0.5))
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                break
            time.sleep(0.001)
        reached = int(progress.read_text().split()[-1])
        found = newest_whole_checkpoint(tmp_path, ('iter_{}.pth',))
        saved = 0 if found is None else read_checkpoint(found)['meta']['iter']
        assert saved >= reached - 1
    assert len(list(tmp_path.glob('iter_*.pth'))) <= 4
    resumed, rest = run(tmp_path, 'auto', hook={'interval': 1})
    left = len(rest.losses)
    assert left == 0 or rest.losses == record.losses[-left:]
    same(runner, resumed)


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
