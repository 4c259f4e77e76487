import os
import subprocess
import sys
import time

import pytest

from sce_mm.utils.errors import UserError
from sce_mm.utils.run_commands import (
    Command,
    Job,
    run_jobs,
    run_together,
    training_step,
)


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
    with pytest.raises(UserError, match=r'no digits left\nlog: .*bad\.log'):
        run_together([Command(slow, []), Command(bad, [])], tmp_path / 'logs')
    assert time.monotonic() - started < 60


@pytest.mark.integration
def test_modules_of_the_users_folder_are_not_taken_for_others(
    tmp_path, monkeypatch
):
    (tmp_path / 'random.py').write_text('raise SystemExit("not this one")')
    monkeypatch.chdir(tmp_path)
    run_together([Command('sce recipes', [])], tmp_path)
    assert 'sce_resnet50' in (tmp_path / 'recipes.log').read_text()


@pytest.mark.integration
def test_jobs_wait_for_what_they_need_and_share_the_places(tmp_path):
    text = (
        'import pathlib, sys, time\n'
        'mine = pathlib.Path(sys.argv[1])\n'
        'mine.touch()\n'
        'time.sleep(0.5)\n'
        'mine.with_suffix(".n").write_text('
        'str(len(list(mine.parent.glob("*.up")))))\n'
        'mine.unlink()\n'
    )
    path = script(tmp_path, 'work', text)
    events = []

    def work(name):
        for step in 'ab':
            mine = tmp_path / f'{name}{step}.up'
            yield Command(path, [mine], name + step), tmp_path
            events.append(f'{name}{step} ended')

    jobs = [
        Job('first', work('first')),
        Job('needs first', work('needs'), after=['first']),
        Job('free', work('free')),
        Job('done before', iter([])),
    ]
    ended = [
        job.name
        for job in run_jobs(
            jobs, 2, lambda job, command, log: events.append(command.name)
        )
    ]
    assert sorted(ended) == sorted(job.name for job in jobs)
    assert events.index('firstb ended') < events.index('needsa')
    # The free one takes the place that the one that waits cannot.
    assert events[:2] == ['firsta', 'freea']
    counts = [int(p.read_text()) for p in tmp_path.glob('*.n')]
    assert len(counts) == 6
    assert max(counts) == 2


def test_a_job_that_waits_for_nothing_that_comes_is_an_error():
    with pytest.raises(ValueError, match='waits for no job'):
        list(run_jobs([Job('one', iter([]), after=['two'])]))


@pytest.mark.integration
@pytest.mark.skipif(sys.platform != 'linux', reason='prctl is of Linux')
def test_commands_end_when_their_parent_is_killed(root, tmp_path):
    path = script(
        tmp_path,
        'child',
        'import os, pathlib, time\n'
        f'p = pathlib.Path({str(tmp_path)!r})\n'
        '(p / "new").write_text(str(os.getpid()))\n'
        '(p / "new").rename(p / "pid")\n'
        'time.sleep(600)\n',
    )
    parent = subprocess.Popen(
        [
            sys.executable,
            '-c',
            'from pathlib import Path\n'
            'from sce_mm.utils.run_commands import Command, run_together\n'
            f'run_together([Command({path!r}, [])], Path({str(tmp_path)!r}))',
        ],
        cwd=root,
    )
    while not (tmp_path / 'pid').is_file():
        assert parent.poll() is None
        time.sleep(0.1)
    parent.kill()
    parent.wait()
    child = int((tmp_path / 'pid').read_text())
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        # One that nobody waits for stays in the table of processes.
        with open(f'/proc/{child}/stat') as file:
            if file.read().rpartition(')')[2].split()[0] == 'Z':
                return
        time.sleep(0.1)
    pytest.fail('the command outlived its parent')
