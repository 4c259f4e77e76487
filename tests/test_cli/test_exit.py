"""The end of a process of a command."""

import errno
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from image_files import write_noise

from sce_mm.cli import exit as process
from sce_mm.cli.console import hold_output, release_output
from sce_mm.cli.exit import exit_code, message_of, naming_keys, run_main
from sce_mm.config.errors import ConfigError
from sce_mm.engine import BF16OptimWrapper
from sce_mm.models import SCELoss
from sce_mm.utils.durable_files import (
    WriteError,
    replace_durably,
    writing,
)
from sce_mm.utils.errors import UserError, is_full

# Threads like those of gloo: inside of torch, and back for the interpreter.
PROCESS = """
import atexit
import threading
import time
import warnings

import torch

from sce_mm.cli.exit import run_main


def work():
    while True:
        torch.ones(9).sum().item()


def report():
    time.sleep(0.2)
    print('reported')


def main():
    atexit.register(print, 'exit function')
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group(
        'gloo', store=store, rank=0, world_size=1
    )
    for _ in range(4):
        threading.Thread(target=work, daemon=True).start()
    threading.Thread(target=report).start()
    warnings.warn('torch.meshgrid: in an upcoming release, give indexing')
    warnings.warn('news')
    print('no newline', end=' ')
    raise SystemExit(75)


run_main(main)
"""


@pytest.mark.integration
def test_threads_do_not_abort_a_process_that_has_ended():
    ended = subprocess.run(
        [sys.executable, '-c', PROCESS], capture_output=True, text=True
    )
    assert ended.returncode == 75, ended.stderr
    assert ended.stdout.endswith('no newline reported\nexit function\n')
    # What packages say of their own code is no news.
    assert 'meshgrid' not in ended.stderr
    assert 'UserWarning: news' in ended.stderr


@pytest.mark.parametrize('word', ['--help', 'recipes'])
@pytest.mark.parametrize('buffering', ['', '-u'])
def test_nothing_is_said_to_a_reader_who_has_left(word, buffering):
    reading, writing = os.pipe()
    os.close(reading)
    options = [buffering] if buffering else []
    command = [sys.executable, *options, '-m', 'sce_mm', word]
    ended = subprocess.run(
        command, stdout=writing, stderr=subprocess.PIPE, text=True
    )
    os.close(writing)
    assert ended.stderr == ''
    assert ended.returncode == 128 + signal.SIGPIPE


@pytest.fixture
def photos(tmp_path):
    write_noise(tmp_path, 2)
    return tmp_path


@pytest.mark.integration
@pytest.mark.parametrize('word', ['--help', 'recipes', 'data {photos}'])
@pytest.mark.parametrize(
    ('streams', 'code', 'said'),
    [
        ('>&-', 0, ''),
        ('2>&-', 0, ''),
        ('>&- 2>&-', 0, ''),
        ('<&- >&- 2>&-', 0, ''),
        ('>/dev/full', 1, 'error: standard output: No space'),
        ('>/dev/full 2>&1', 1, ''),
    ],
)
def test_streams_that_are_closed_or_full(photos, word, streams, code, said):
    word = word.format(photos=photos)
    command = f'{shlex.quote(sys.executable)} -m sce_mm {word} {streams}'
    ended = subprocess.run(command, shell=True, stderr=-1, text=True)
    assert ended.returncode == code, ended.stderr
    assert ended.stderr.startswith(said)
    assert len(ended.stderr.splitlines()) == bool(said)


def test_a_pipe_of_a_command_that_breaks_is_an_error(capfd):
    def main():
        raise BrokenPipeError(errno.EPIPE, 'Broken pipe')

    assert process.exit_code(main) == 1
    assert 'Broken pipe' in capfd.readouterr().err


@pytest.mark.parametrize(
    ('end', 'code', 'written'),
    [
        (None, 0, ''),
        (SystemExit(75), 75, ''),
        (SystemExit('why'), 1, 'why\n'),
        (UserError('why'), 1, 'error: why\n'),
        (KeyboardInterrupt(), 130, 'interrupted\n'),
    ],
)
def test_exit_codes_and_messages(monkeypatch, capsys, end, code, written):
    def main():
        if end is not None:
            raise end

    def leave(code):
        raise SystemExit(code)

    monkeypatch.setattr(process.os, '_exit', leave)
    monkeypatch.setattr(process.atexit, '_run_exitfuncs', lambda: None)
    monkeypatch.setattr(process.threading, 'enumerate', list)
    with pytest.raises(SystemExit) as stop:
        run_main(main)
    assert stop.value.code == code
    assert capsys.readouterr().err == written


@pytest.mark.parametrize(
    ('number', 'code', 'said'),
    [
        (signal.SIGINT, 130, 'interrupted\n'),
        (signal.SIGTERM, 143, 'terminated\n'),
    ],
)
def test_a_signal_leaves_nothing_half_written(
    tmp_path, capsys, number, code, said
):
    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}

    def write(file):
        file.write(b'half')
        signal.raise_signal(number)

    try:
        process.end_at_signals()
        ended = exit_code(lambda: replace_durably(tmp_path / 'a', write))
    finally:
        for n, handler in before.items():
            signal.signal(n, handler)
    assert (ended, capsys.readouterr().err) == (code, said)
    assert not list(tmp_path.iterdir())


def test_a_disk_without_room_is_named_as_such():
    full = OSError(errno.ENOSPC, 'No space left on device')
    assert 'Free space' in message_of(full)
    with (
        pytest.raises(WriteError, match=r'cannot write a\.npz: No space') as e,
        writing('a.npz'),
    ):
        raise full
    assert is_full(e.value)
    assert message_of(e.value) == str(e.value)


def test_keys_are_named_with_the_options_that_set_them():
    with (
        pytest.raises(ConfigError, match=r'- --epochs \(train.n\): x'),
        naming_keys({'train.n': '--epochs'}),
    ):
        raise ConfigError('1 problem:\n  - train.n: x')


def ours():
    SCELoss(coeff=7)


def rebuilt():
    # As upstream's registry does it.
    try:
        SCELoss(coeff=7)
    except ValueError as error:
        raise type(error)(f'class `SCELoss` in losses.py: {error}')  # noqa: B904


def bug():
    BF16OptimWrapper.optim_context(None, None).__enter__()


def in_torch():
    torch.ones(2) @ torch.ones(3)


@pytest.mark.parametrize(
    ('function', 'expected'),
    [
        (ours, 'coeff'),
        (rebuilt, 'coeff'),
        (
            lambda: Path('/no/file').read_text(),
            '/no/file: No such file or directory',
        ),
        (
            lambda: exec(
                'raise ConfigError("x")', {'ConfigError': ConfigError}
            ),
            'x',
        ),
        (lambda: json.loads('{'), None),
        (in_torch, None),
        (bug, None),
    ],
)
def test_errors_for_users_are_told_from_bugs(function, expected):
    with pytest.raises(Exception) as error:  # noqa: PT011
        function()
    message = message_of(error.value)
    assert message is None if expected is None else expected in message
    assert not message or 'losses.py' not in message


@pytest.mark.parametrize(
    ('error', 'told'),
    [
        (
            RuntimeError(
                '[/gloo/transport/tcp/pair.cc:538] Connection closed by peer '
                '[127.0.0.1]:2712'
            ),
            True,
        ),
        (RuntimeError('Broken pipe'), True),
        (
            torch.distributed.DistBackendError(
                'NCCL error: remote process exited or there was a network '
                'error, NCCL version 2.21.5'
            ),
            True,
        ),
        (RuntimeError('The size of tensor a (3) must match'), False),
        (ZeroDivisionError('Broken pipe'), False),
    ],
)
def test_the_end_of_another_process_is_told_in_short(error, told):
    message = message_of(error)
    assert (message is not None) == told
    assert not told or 'another process of this run has ended' in message


@pytest.mark.integration
def test_a_process_that_outlives_another_shows_no_traceback(root):
    program = (
        'import os\n'
        'import signal\n'
        'import torch\n'
        'from torch import distributed\n'
        'from sce_mm.cli import console, exit\n'
        'def main():\n'
        '    console.hold_output()\n'
        "    distributed.init_process_group('gloo')\n"
        '    console.release_output()\n'
        '    distributed.all_reduce(torch.ones(3))\n'
        '    if distributed.get_rank() == 1:\n'
        '        os.kill(os.getpid(), signal.SIGKILL)\n'
        '    for _ in range(9):\n'
        '        distributed.all_reduce(torch.ones(9))\n'
        'exit.run_main(main)\n'
    )
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = str(free.getsockname()[1])
    place = {'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': port}
    first, killed = [
        subprocess.Popen(
            [sys.executable, '-c', program],
            cwd=root,
            env=os.environ | place | {'RANK': rank, 'WORLD_SIZE': '2'},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in '01'
    ]
    said = first.communicate(timeout=300)[1]
    killed.communicate(timeout=300)
    assert killed.returncode == -signal.SIGKILL
    assert first.returncode == 1
    assert 'error: another process of this run has ended' in said
    assert 'Traceback' not in said


def test_output_waits_for_its_release(capsys, monkeypatch):
    monkeypatch.setattr(sys, 'stdout', sys.stdout)
    hold_output()
    print('first')
    sys.stdout.writelines(['second\n'])
    assert capsys.readouterr().out == ''
    release_output()
    print('third')
    assert capsys.readouterr().out == 'first\nsecond\nthird\n'


class Wrapped:
    """A stream before another one, as services put it that follow a run."""

    def __init__(self, stream):
        self.stream = stream

    def write(self, text):
        return self.stream.write(text)


def test_output_is_released_though_a_service_has_wrapped_it(
    capsys, monkeypatch
):
    monkeypatch.setattr(sys, 'stdout', sys.stdout)
    hold_output()
    print('first')
    sys.stdout = Wrapped(sys.stdout)
    print('second')
    assert capsys.readouterr().out == ''
    release_output()
    print('third')
    assert capsys.readouterr().out == 'first\nsecond\nthird\n'
