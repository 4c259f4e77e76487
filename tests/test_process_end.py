"""The end of one of several processes."""

import subprocess
import sys

from sce_mm.process_end import leave_processes

# Threads like those of gloo: inside of torch, and back for the interpreter.
PROCESS = """
import atexit
import threading
import time

import torch

from sce_mm.process_end import leave_processes


def work():
    while True:
        torch.ones(9).sum().item()


def report():
    time.sleep(0.2)
    print('reported')


atexit.register(print, 'exit function')
store = torch.distributed.HashStore()
torch.distributed.init_process_group(
    'gloo', store=store, rank=0, world_size=1
)
for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
threading.Thread(target=report).start()
print('no newline', end=' ')
leave_processes(75)
"""


def test_threads_do_not_abort_a_process_that_has_ended():
    ended = subprocess.run(
        [sys.executable, '-c', PROCESS], capture_output=True, text=True
    )
    assert ended.returncode == 75, ended.stderr
    assert ended.stdout.endswith('no newline reported\nexit function\n')


def test_a_process_that_is_alone_goes_on():
    leave_processes()
