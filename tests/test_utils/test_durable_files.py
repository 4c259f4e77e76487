"""Files are whole or not there, whatever happens while they are written."""

import errno
import os
import pickle
import random
import resource
import signal
import time
from contextlib import suppress
from functools import partial

import pytest
import torch
from mmengine.fileio import get_file_backend

from sce_mm.utils.durable_files import (
    WriteError,
    remove_partial_files,
    replace_durably,
    whole_folder,
    write_durably,
)
from sce_mm.utils.folder_lock import LOCK


def forked(function):
    """Process id of a child that calls a function and ends."""
    child = os.fork()
    if child == 0:
        try:
            function()
        finally:
            os._exit(1)
    return child


def test_written_and_replaced(tmp_path):
    path = tmp_path / 'new' / 'file'
    write_durably(path, b'one')
    get_file_backend(str(path), backend_args={'backend': 'durable'}).put(
        b'two', str(path)
    )
    assert path.read_bytes() == b'two'
    assert os.listdir(path.parent) == ['file']


def test_a_writer_killed_at_thirty_moments_leaves_a_whole_file(tmp_path):
    path = tmp_path / 'file'
    versions = [bytes([i]) * 300_000 for i in range(4)]
    write_durably(path, versions[0])

    def write_for_ever():
        while True:
            for version in versions:
                write_durably(path, version)

    draw = random.Random(0)
    partial = 0
    for _ in range(30):
        child = forked(write_for_ever)
        time.sleep(draw.uniform(0.002, 0.02))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert path.read_bytes() in versions
        partial += len(list(tmp_path.glob('.*.partial')))
        remove_partial_files(tmp_path)
    # Some of them were killed while they wrote.
    assert partial
    assert os.listdir(tmp_path) == ['file']


def test_a_folder_of_a_killed_process_goes_with_the_next_one(tmp_path):
    made, other = tmp_path / 'made', tmp_path / '.made.too.abcdefgh'
    other.mkdir()
    (other / LOCK).touch()

    def fill():
        with whole_folder(made):
            signal.pause()

    def fail():
        with suppress(ValueError), whole_folder(made):
            raise ValueError

    child = forked(fill)
    # The holder writes its name once it has locked the folder.
    names = f'.made.????????/{LOCK}'
    while not any(path.read_text() for path in tmp_path.glob(names)):
        time.sleep(0.01)
    fail()
    assert len(list(tmp_path.iterdir())) == 2
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    fail()
    assert list(tmp_path.iterdir()) == [other]
    with whole_folder(made) as unfinished:
        (unfinished / 'file').touch()
    assert os.listdir(made) == ['file']


def test_a_link_stays_and_a_device_is_written_to(tmp_path):
    target, link = tmp_path / 'file', tmp_path / 'link'
    link.symlink_to(target)
    write_durably(link, b'one')
    assert link.is_symlink()
    assert target.read_bytes() == b'one'
    pipe = tmp_path / 'pipe'
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_durably(pipe, b'two')
    assert os.read(reader, 9) == b'two'
    os.close(reader)
    assert sorted(os.listdir(tmp_path)) == ['file', 'link', 'pipe']


def test_no_room_keeps_the_old_file_and_says_so(tmp_path):
    path = tmp_path / 'file'
    write_durably(path, b'old')

    def write_too_much():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        try:
            write_durably(path, b'x' * 2000)
        except WriteError as error:
            os._exit(40 if 'File too large' in str(error) else 41)

    _, status = os.waitpid(forked(write_too_much), 0)
    assert os.waitstatus_to_exitcode(status) == 40
    assert path.read_bytes() == b'old'
    assert os.listdir(tmp_path) == ['file']


def test_what_torch_saves_into_a_full_disk_is_not_there(tmp_path):
    def write_too_much():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        content = {'x': torch.ones(9999)}
        try:
            replace_durably(tmp_path / 'file', partial(torch.save, content))
        except WriteError as error:
            os._exit(40 if 'File too large' in str(error) else 41)

    _, status = os.waitpid(forked(write_too_much), 0)
    assert os.waitstatus_to_exitcode(status) == 40
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize('number', [errno.ENOSPC, errno.EROFS])
def test_full_disks_and_read_only_folders_are_named(
    tmp_path, monkeypatch, number
):
    path = tmp_path / 'file'
    write_durably(path, b'old')

    def refuse(handle):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, 'fsync', refuse)
    with pytest.raises(WriteError) as error:
        write_durably(path, b'new')
    message = str(error.value)
    assert f'cannot write {path}: {os.strerror(number)} (' in message
    assert 'MiB are free' in message
    # A process that writes sends its error to another one.
    sent = pickle.loads(pickle.dumps(error.value))
    assert (str(sent), sent.errno) == (message, number)
    assert path.read_bytes() == b'old'
    assert os.listdir(tmp_path) == ['file']


def test_what_reads_back_otherwise_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr('pathlib.Path.read_bytes', lambda path: b'else')
    with pytest.raises(WriteError, match='does not read back'):
        write_durably(tmp_path / 'file', b'new')
    assert os.listdir(tmp_path) == []
