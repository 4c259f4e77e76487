"""Launchers of detection benchmarks: what runs, and where results go."""

import hashlib
import os
import subprocess

import pytest

pytestmark = pytest.mark.integration

SCRIPTS = ['mmdet_train.sh', 'mmdet_test.sh']


@pytest.fixture
def run(root, tmp_path):
    """``run(script, *arguments, **environment)`` with stubs on PATH."""
    folder = tmp_path / 'bin'
    folder.mkdir()
    for name in ('srun', 'python'):
        program = folder / name
        program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
        program.chmod(0o755)

    def call(script, *arguments, **environment):
        return subprocess.run(
            [
                'bash',
                str(root / 'tools' / 'benchmarks' / script),
                *map(str, arguments),
            ],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={'PATH': f'{folder}:{os.environ["PATH"]}'} | environment,
        )

    return call


@pytest.fixture
def files(tmp_path):
    """Two files of one name."""
    paths = [tmp_path / name / 'my weights.pth' for name in ('a b', 'c')]
    for path in paths:
        path.parent.mkdir()
        path.write_text(path.parent.name)
    return paths


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()[:8]


def work_dir(words):
    if '--work-dir' in words:
        return words[words.index('--work-dir') + 1]
    (word,) = [w for w in words if w.startswith('--work-dir=')]
    return word.removeprefix('--work-dir=')


def test_pytorch_trains_each_file_in_its_own_folder(root, run, files):
    folders = []
    for path in files:
        done = run(
            'mmdet_train.sh', 'my configs/d.py', path, 4, '--amp', PORT='77'
        )
        assert done.returncode == 0, done.stderr
        words = done.stdout.splitlines()
        assert words[0].endswith('/run_processes.py')
        assert {'--nproc_per_node=4', '--master_port=77'} <= set(words)
        train = str((root / 'tools' / 'train.py').resolve())
        assert words[words.index(train) + 1] == 'my configs/d.py'
        assert words[words.index('--pretrained') + 1] == str(path)
        assert words[-1] == '--amp'
        folders.append(work_dir(words))
    assert folders == [
        f'work_dirs/benchmarks/d/my weights-{digest(path)}' for path in files
    ]
    assert folders[0] != folders[1]


def test_slurm_trains_with_the_gpus_that_are_asked_for(run, files):
    done = run(
        'mmdet_train.sh',
        'configs/d.py',
        files[0],
        4,
        '--amp',
        LAUNCHER='slurm',
        PARTITION='big gpus',
    )
    assert done.returncode == 0, done.stderr
    words = done.stdout.splitlines()
    assert words[:4] == ['-p', 'big gpus', '--job-name=d', '--gres=gpu:4']
    assert {'--ntasks=4', '--ntasks-per-node=4'} <= set(words)
    assert work_dir(words).endswith(f'd/my weights-{digest(files[0])}')
    assert words[words.index('--pretrained') + 1] == str(files[0])
    assert words[-1] == '--amp'
    many = run(
        'mmdet_train.sh',
        'configs/d.py',
        files[0],
        16,
        LAUNCHER='slurm',
        PARTITION='p',
        JOB_NAME='my job',
    ).stdout.splitlines()
    assert {'--ntasks=16', '--ntasks-per-node=8'} <= set(many)
    assert '--job-name=my job' in many


@pytest.mark.parametrize('launcher', ['pytorch', 'slurm'])
def test_results_of_a_test_lie_beside_their_checkpoint(run, files, launcher):
    for path in files:
        done = run(
            'mmdet_test.sh',
            'configs/d.py',
            path,
            2,
            '--cfg-options',
            'x=1',
            LAUNCHER=launcher,
            PARTITION='p',
        )
        assert done.returncode == 0, done.stderr
        words = done.stdout.splitlines()
        folder = f'{path.parent}/test-my weights-{digest(path)}'
        assert work_dir(words) == folder
        assert words[words.index('--out') + 1] == f'{folder}/metrics.json'
        assert str(path) in words
        assert words[-2:] == ['--cfg-options', 'x=1']


@pytest.mark.parametrize('script', SCRIPTS)
def test_mistakes_are_named(run, files, script):
    usage = run(script, 'd.py')
    assert (usage.returncode, f'{script} CONFIG' in usage.stderr) == (2, True)
    absent = run(script, 'd.py', 'none.pth', 8)
    assert (absent.returncode, 'at none.pth' in absent.stderr) == (1, True)
    other = run(script, 'd.py', files[0], 8, LAUNCHER='mpi')
    assert other.returncode == 2
    assert 'LAUNCHER is pytorch or slurm, not mpi' in other.stderr
    nowhere = run(script, 'd.py', files[0], 8, LAUNCHER='slurm')
    assert nowhere.returncode != 0
    assert 'set PARTITION' in nowhere.stderr
