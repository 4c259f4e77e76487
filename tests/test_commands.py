import time

import pytest

from sce_mm.commands import Command, run_together


def script(folder, name, text):
    path = folder / f'{name}.py'
    path.write_text(text)
    return str(path)


def test_command_is_shown_as_typed():
    command = Command('tools/x.py', ['a b', 3])
    assert command.shown() == "python tools/x.py 'a b' 3"


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
