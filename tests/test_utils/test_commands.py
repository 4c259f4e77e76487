import time

import pytest

from sce_mm.utils.commands import Command, run_together, training_step


def script(folder, name, text):
    path = folder / f'{name}.py'
    path.write_text(text)
    return str(path)


def test_where_a_training_is(tmp_path):
    log = tmp_path / 'train.log'
    assert training_step(log) == ''
    log.write_bytes(
        b'caf\xe9\n04:50:33 - mmengine - INFO - Epoch(train) [1][20/99]  '
        b'lr: 7.5000e-03  eta: 1 day, 0:00:07  time: 0.2\n'
        b'04:51:33 - mmengine - INFO - Epoch(train)  [2][ 9/99]  '
        b'lr: 7.5000e-03  eta: 23:10:00  time: 0.2200\n'
        b'04:51:34 - mmengine - INFO - Saving checkpoint\n'
    )
    shown = training_step(log)
    assert shown == 'Epoch(train)  [2][ 9/99], 23:10:00 left'


@pytest.mark.integration
def test_output_and_threads_of_each_command(tmp_path):
    code = "import os; print('threads', os.environ['OMP_NUM_THREADS'])"
    path = script(tmp_path, 'show', code)
    logs = tmp_path / 'logs'
    run_together(
        [Command(path, [], 'one', 1), Command(path, [], 'two', 2)], logs
    )
    assert (logs / 'one.log').read_text() == 'threads 1\n'
    assert (logs / 'two.log').read_text() == 'threads 2\n'


@pytest.mark.integration
def test_failure_names_the_log_and_stops_the_other(tmp_path):
    bad = script(tmp_path, 'bad', "raise SystemExit('no digits left')")
    slow = script(tmp_path, 'slow', 'import time; time.sleep(600)')
    started = time.monotonic()
    with pytest.raises(RuntimeError, match=r'no digits left\nlog: .*bad\.log'):
        run_together([Command(slow, []), Command(bad, [])], tmp_path / 'logs')
    assert time.monotonic() - started < 60
