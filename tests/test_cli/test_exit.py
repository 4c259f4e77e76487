"""The end of a process of a command."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sce_mm.cli.exit import message_of
from sce_mm.cli.held_output import hold_output, release_output
from sce_mm.config.names import ConfigError
from sce_mm.engine.optimizers import BF16OptimWrapper
from sce_mm.models import SCELoss

# Threads like those of gloo: inside of torch, and back for the interpreter.
PROCESS = """
import atexit
import threading
import time

import torch

from sce_mm.process_end import run_command


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
    print('no newline', end=' ')
    {end}


run_command(main)
"""


def run(end):
    return subprocess.run(
        [sys.executable, '-c', PROCESS.replace('{end}', end)],
        capture_output=True,
        text=True,
    )


@pytest.mark.integration
@pytest.mark.parametrize(
    ('end', 'code', 'said'),
    [
        ('pass', 0, ''),
        ('raise SystemExit(75)', 75, ''),
        ('raise SystemExit("why")', 1, 'why\n'),
        (
            'import sce_mm.utils.errors as e; raise e.UserError("why")',
            1,
            'error: why\n',
        ),
        ('raise KeyboardInterrupt', 130, 'interrupted\n'),
    ],
)
def test_threads_do_not_abort_a_process_that_has_ended(end, code, said):
    ended = run(end)
    assert ended.returncode == code, ended.stderr
    assert ended.stdout.endswith('no newline reported\nexit function\n')
    assert ended.stderr.endswith(said)


def ours():
    SCELoss(coeff=7)


def rebuilt():
    # As upstream's registry does it.
    try:
        SCELoss(coeff=7)
    except ValueError as error:
        raise ValueError(f'class `SCELoss` in losses.py: {error}')  # noqa: B904


def bug():
    BF16OptimWrapper.optim_context(None, None).__enter__()


def in_torch():
    torch.ones(2) @ torch.ones(3)


@pytest.mark.parametrize(
    ('function', 'told'),
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
def test_errors_for_users_are_told_from_bugs(function, told):
    with pytest.raises(Exception) as error:  # noqa: PT011
        function()
    message = message_of(error.value)
    assert message is None if told is None else told in message
    assert not message or 'losses.py' not in message


def test_output_waits_for_its_release(capsys, monkeypatch):
    monkeypatch.setattr(sys, 'stdout', sys.stdout)
    hold_output()
    print('first')
    sys.stdout.writelines(['second\n'])
    assert capsys.readouterr().out == ''
    release_output()
    print('third')
    assert capsys.readouterr().out == 'first\nsecond\nthird\n'
