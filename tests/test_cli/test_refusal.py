"""What is left of a run that does not begin."""

import os
import time
from contextlib import suppress
from time import monotonic_ns

import pytest
from mmengine.config import Config
from mmengine.logging import MMLogger

from sce_mm.cli.refusal import leaving_nothing
from sce_mm.utils.errors import UserError
from sce_mm.utils.folder_lock import LOCK, FolderLock


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob('*'))


def run(folder, error, begins=False):
    """A run that writes its log, and fails."""
    cfg = Config({'work_dir': str(folder / 'runs' / 'mine')})
    with suppress(type(error)), leaving_nothing(cfg) as hook:
        log = folder / 'runs' / 'mine' / '20240101_000000' / 'a.log'
        log.parent.mkdir(parents=True)
        # Another logger each time, as of another process.
        MMLogger.get_instance(f'{log} {monotonic_ns()}', log_file=str(log))
        if begins:
            hook.after_train_iter(None, 0)
        raise error


def test_a_refused_run_leaves_nothing_and_what_was_there(tmp_path):
    run(tmp_path, UserError('too few images'))
    assert names(tmp_path) == []
    earlier = tmp_path / 'runs' / 'mine' / '20230101_000000' / 'a.log'
    earlier.parent.mkdir(parents=True)
    earlier.touch()
    (tmp_path / 'runs' / 'mine' / 'commands.txt').touch()
    before = names(tmp_path)
    run(tmp_path, UserError('too few images'))
    assert names(tmp_path) == before


def test_what_another_training_writes_is_left_alone(tmp_path):
    """Also where both begin in one second, and so in one folder."""
    folder = tmp_path / 'runs' / 'mine'
    other, end = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        lock = FolderLock(folder)
        os.write(other[1], b' ')
        os.read(end[0], 1)
        lock.close()
        os._exit(0)
    os.read(other[0], 1)
    log = folder / '20240101_000000' / 'a.log'
    log.parent.mkdir()
    log.touch()
    try:
        with (
            pytest.raises(UserError, match='another training writes'),
            leaving_nothing(Config({'work_dir': str(folder)})),
        ):
            raise AssertionError
        # A test may run beside it, and cleans nothing then.
        cfg = Config({'work_dir': str(folder)})
        with suppress(UserError), leaving_nothing(cfg, trains=False):
            raise UserError('no such image')
    finally:
        os.write(end[1], b' ')
        os.waitpid(child, 0)
    assert log.is_file()


def test_a_lock_whose_file_was_removed_is_taken_again(tmp_path):
    child = os.fork()
    if child == 0:
        lock = FolderLock(tmp_path)
        time.sleep(0.5)
        (tmp_path / LOCK).unlink()
        lock.close()
        os._exit(0)
    while not (tmp_path / LOCK).exists() or not (tmp_path / LOCK).read_text():
        time.sleep(0.01)
    lock = FolderLock(tmp_path)
    os.waitpid(child, 0)
    assert f'process {os.getpid()} ' in (tmp_path / LOCK).read_text()
    lock.close()


def test_a_folder_for_a_log_that_was_not_begun_goes(tmp_path):
    cfg = Config({'work_dir': str(tmp_path / 'mine')})
    with suppress(UserError), leaving_nothing(cfg):
        (tmp_path / 'mine' / '20240101_000000').mkdir(parents=True)
        raise UserError('no such level')
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ('error', 'begins'), [(UserError(''), True), (KeyError('a bug'), False)]
)
def test_other_runs_leave_their_log(tmp_path, error, begins):
    run(tmp_path, error, begins)
    assert 'runs/mine/20240101_000000/a.log' in names(tmp_path)
