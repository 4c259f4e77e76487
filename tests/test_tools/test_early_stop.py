"""A signal to stop comes before there is anything to save."""

import os
import signal
import subprocess
import sys
import time

import pytest


@pytest.mark.integration
def test_a_training_that_only_begins(root, tmp_path):
    told = tmp_path / 'told'
    config = root / 'configs/sce/sce_resnet18_1xb64-coslr-200e_folder.py'
    process = subprocess.Popen(
        [sys.executable, root / 'tools/train.py', config],
        env=os.environ | {'SCE_MM_STOPPED_FILE': str(told)},
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 75, said
    assert 'Nothing was saved' in said
    assert told.exists()


@pytest.mark.integration
def test_a_process_that_is_forked_ends_as_usual():
    code = (
        '__starts_light__ = True\n'
        'import os, signal\n'
        'from sce_mm.utils import signals\n'
        'signals.end_early()\n'
        'if (child := os.fork()) == 0:\n'
        '    signal.raise_signal(signal.SIGTERM)\n'
        'print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n'
    )
    done = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True
    )
    assert done.stdout == '-15\n', done.stderr
