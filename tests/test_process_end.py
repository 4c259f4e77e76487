"""The end of a process of a command."""

import subprocess
import sys

import pytest

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
    ],
)
def test_threads_do_not_abort_a_process_that_has_ended(end, code, said):
    ended = run(end)
    assert ended.returncode == code, ended.stderr
    assert ended.stdout.endswith('no newline reported\nexit function\n')
    assert ended.stderr.endswith(said)
