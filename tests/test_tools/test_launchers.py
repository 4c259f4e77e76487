"""The shell launchers: the commands they run and the codes they exit with."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.integration


@pytest.fixture
def stub(tmp_path):
    """Programs on PATH that print their words, one a line."""
    folder = tmp_path / 'bin'
    folder.mkdir()
    for name in ('srun', 'python'):
        program = folder / name
        program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
        program.chmod(0o755)
    return {'PATH': f'{folder}:{os.environ["PATH"]}'}


def words(root, stub, script, *arguments, **environment):
    done = subprocess.run(
        ['bash', str(root / 'tools' / script), *arguments],
        capture_output=True,
        text=True,
        env=stub | environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_dist_train_passes_machines_and_options_on(root, stub):
    options = ['--amp', '--work-dir', 'a b']
    got = words(
        root,
        stub,
        'dist_train.sh',
        *['a config.py', '4', *options],
        NNODES='2',
        NODE_RANK='1',
        MASTER_ADDR='10.0.0.1',
        PORT='1234',
    )
    train = str(root / 'tools' / 'train.py')
    assert got == [
        str(root / 'tools' / 'run_processes.py'),
        '--nnodes=2',
        '--node_rank=1',
        '--master_addr=10.0.0.1',
        '--master_port=1234',
        '--nproc_per_node=4',
        '--max-restarts=0',
        *[train, 'a config.py', '--launcher', 'pytorch', *options],
    ]


def test_slurm_train_asks_for_what_the_environment_says(root, stub):
    got = words(
        root,
        stub,
        'slurm_train.sh',
        *['gpu', 'my job', 'c.py', 'w d', '--amp'],
        GPUS='16',
        GPUS_PER_NODE='4',
        CPUS_PER_TASK='9',
        SRUN_ARGS='--qos=high --exclusive',
    )
    wanted = '--gres=gpu:4 --ntasks=16 --cpus-per-task=9 --qos=high'
    assert set(wanted.split()) <= set(got)
    assert got[:3] == ['-p', 'gpu', '--job-name=my job']
    assert got[-4:] == ['c.py', '--work-dir=w d', '--launcher=slurm', '--amp']


@pytest.mark.parametrize(
    'script',
    ['dist_train.sh', 'dist_test.sh', 'slurm_train.sh', 'slurm_test.sh'],
)
def test_too_few_words_print_the_usage(root, script):
    done = subprocess.run(
        ['bash', str(root / 'tools' / script)], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert f'{script} ' in done.stderr


@pytest.mark.parametrize('gpus', ['two', '--data', '', '0', '2.5', '-1'])
@pytest.mark.parametrize(
    'words', [('dist_train.sh', 'c.py'), ('dist_test.sh', 'c.py', 'e.pth')]
)
def test_the_number_of_processes_is_one(root, words, gpus):
    script, *others = words
    done = subprocess.run(
        ['bash', str(root / 'tools' / script), *others, gpus, 'more'],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith('error: GPUS is')
    assert line.endswith(f"'{gpus}'")


def program(folder, name, *lines):
    path = folder / name
    path.write_text('\n'.join(['#!/bin/sh', *lines, '']))
    path.chmod(0o755)


def slurm(root, folder, **environment):
    return subprocess.run(
        [
            'bash',
            str(root / 'tools' / 'slurm_train.sh'),
            *['p', 'j', 'c', 'w'],
        ],
        capture_output=True,
        text=True,
        cwd=folder,
        env={'PATH': f'{folder}:{os.environ["PATH"]}', **environment},
    )


def test_slurm_train_goes_on_when_the_cluster_stopped_it(root, tmp_path):
    # Stopped twice, then finished; each start writes its last word.
    program(
        tmp_path,
        'srun',
        'for word; do last=$word; done',
        f'echo "$last" >> {tmp_path}/starts',
        f'[ "$(wc -l < {tmp_path}/starts)" -gt 2 ] || exit 75',
    )
    program(tmp_path, 'scontrol', 'echo "$@"')
    assert slurm(root, tmp_path).returncode == 75
    (tmp_path / 'starts').unlink()
    assert slurm(root, tmp_path, RESUBMITS='1').returncode == 75
    (tmp_path / 'starts').unlink()
    assert slurm(root, tmp_path, RESUBMITS='5').returncode == 0
    starts = (tmp_path / 'starts').read_text().split()
    assert starts == ['--launcher=slurm', '--resume', '--resume']
    # In a batch job the whole script starts again, a bounded number of times.
    (tmp_path / 'starts').unlink()
    batch = {'RESUBMITS': '2', 'SLURM_JOB_ID': '7'}
    done = slurm(root, tmp_path, **batch)
    assert (done.returncode, done.stdout) == (75, 'requeue 7\n')
    done = slurm(root, tmp_path, SLURM_RESTART_COUNT='2', **batch)
    assert (done.returncode, done.stdout) == (75, '')


def test_slurm_train_knows_a_stop_whose_code_srun_lost(root, tmp_path):
    # The first task exited with 75, srun killed the others and says so.
    work = tmp_path / 'w'
    work.mkdir()
    program(
        tmp_path,
        'srun',
        f'[ -e {tmp_path}/again ] && exit 3',
        f'touch {tmp_path}/again "$SCE_MM_STOPPED_FILE"',
        'exit 137',
    )
    assert slurm(root, tmp_path).returncode == 75
    assert list(work.iterdir()) == []
    (tmp_path / 'again').unlink()
    # Whatever ends the next start is not taken for a stop.
    assert slurm(root, tmp_path, RESUBMITS='5').returncode == 3


@pytest.mark.parametrize(
    ('told', 'code', 'saves'),
    [
        (signal.SIGTERM, 75, 'yes'),
        (signal.SIGUSR1, 75, 'yes'),
        (signal.SIGUSR2, 75, 'yes'),
        (signal.SIGTERM, 75, ''),
        (None, 1, ''),
    ],
)
def test_dist_train_passes_the_signal_and_the_code_on(
    root, tmp_path, told, code, saves
):
    # Stands for torchrun, which answers a signal with 1.
    program(
        tmp_path,
        'python',
        'end() { [ -n "$SAVES" ] && touch "$SCE_MM_STOPPED_FILE"; exit 1; }',
        'trap end TERM',
        f'echo $$ > {tmp_path}/started.tmp',
        f'mv {tmp_path}/started.tmp {tmp_path}/started',
        'while :; do sleep 0.02; done',
    )
    process = subprocess.Popen(
        ['bash', str(root / 'tools' / 'dist_train.sh'), 'c', '2'],
        env={'PATH': f'{tmp_path}:{os.environ["PATH"]}', 'SAVES': saves},
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (tmp_path / 'started').exists():
        time.sleep(0.01)
    if told:
        process.send_signal(told)
    else:
        # torchrun ends by itself; another machine may have stopped it.
        child = int((tmp_path / 'started').read_text())
        os.kill(child, signal.SIGTERM)
    said = process.communicate(timeout=20)[1]
    assert process.returncode == (75 if saves else code)
    assert ('stopped without saving' in said) == bool(told and not saves)


def test_a_port_in_use_is_named(root):
    with socket.socket() as taken:
        taken.bind(('', 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            ['bash', str(root / 'tools' / 'dist_train.sh'), 'c', '1'],
            capture_output=True,
            text=True,
            env=os.environ | {'PYTHON': sys.executable, 'PORT': port},
        )
    assert done.returncode == 1
    assert f'error: port {port} is in use' in done.stderr
    assert 'PORT=' in done.stderr
    assert 'Traceback' not in done.stderr


def test_a_process_that_is_killed_is_one_message(root, tmp_path):
    script = tmp_path / 'dies.py'
    script.write_text('import os\nos.kill(os.getpid(), 9)\n')
    done = subprocess.run(
        [
            sys.executable,
            root / 'tools' / 'run_processes.py',
            '--nproc_per_node=1',
            '--master_port=0',
            script,
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert 'error: process 0 was ended by SIGKILL' in done.stderr
    assert 'Traceback' not in done.stderr
