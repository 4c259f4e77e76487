"""Two trainings do not write to one folder."""

import os
import signal
import time

import pytest

from sce_mm.utils.folder_lock import LOCK, FolderInUseError, FolderLock
from tests.helpers.resumable import run


@pytest.fixture
def occupied(tmp_path):
    """A folder, and the process that holds it."""
    child = os.fork()
    if child == 0:
        lock = FolderLock(tmp_path)
        signal.pause()
        lock.close()
    while not (tmp_path / LOCK).exists() or not (tmp_path / LOCK).read_text():
        time.sleep(0.01)
    yield tmp_path, child
    try:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    except (ProcessLookupError, ChildProcessError):
        pass


def test_another_process_is_named_and_kept_out(occupied):
    folder, child = occupied
    with pytest.raises(FolderInUseError, match=rf'process {child} on .*--wo'):
        FolderLock(folder, patience=0)
    # The attempt has taken nothing from the holder.
    with pytest.raises(FolderInUseError, match=rf'process {child} on'):
        FolderLock(folder, patience=0)


def test_a_killed_process_leaves_the_folder_free(occupied):
    folder, child = occupied
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    lock = FolderLock(folder, patience=0)
    assert f'process {os.getpid()} ' in (folder / LOCK).read_text()
    lock.close()


def test_where_nothing_can_be_written_nothing_is_refused(tmp_path):
    (tmp_path / 'file').touch()
    FolderLock(tmp_path / 'file' / 'below').close()
    assert os.listdir(tmp_path) == ['file']


@pytest.mark.integration
def test_a_training_of_another_process_is_left_alone(occupied, monkeypatch):
    folder, _ = occupied
    (folder / '.iter_2.pth.xyz.partial').touch()
    monkeypatch.setattr(FolderLock.__init__, '__defaults__', (0.0,))
    with pytest.raises(FolderInUseError, match='another training writes to'):
        run(folder)
    assert (folder / '.iter_2.pth.xyz.partial').exists()
    assert not list(folder.glob('iter_*.pth'))
