"""Launchers of detection benchmarks: what runs, and where results go."""

import hashlib
import os
import subprocess

import pytest

pytestmark = pytest.mark.integration


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


SLURM = {'LAUNCHER': 'slurm', 'PARTITION': 'big gpus'}


@pytest.mark.parametrize(
    ('environment', 'expected'),
    [
        ({'PORT': '77'}, ['--nproc_per_node=16', '--master_port=77']),
        (SLURM, ['big gpus', '--job-name=d', '--gres=gpu:8', '--ntasks=16']),
        (SLURM | {'JOB_NAME': 'my job'}, ['--job-name=my job']),
    ],
)
def test_each_file_is_trained_in_its_own_folder(
    run, files, environment, expected
):
    for path in files:
        words = ['my configs/d.py', path, 16, '--amp']
        done = run('mmdet_train.sh', *words, **environment)
        assert done.returncode == 0, done.stderr
        words = done.stdout.splitlines()
        assert set(expected) <= set(words)
        assert 'my configs/d.py' in words
        assert words[words.index('--pretrained') + 1] == str(path)
        assert words[-1] == '--amp'
        folder = f'work_dirs/benchmarks/d/my weights-{digest(path)}'
        assert work_dir(words) == folder


@pytest.mark.parametrize('environment', [{}, SLURM])
def test_results_of_a_test_lie_beside_their_checkpoint(
    run, files, environment
):
    for path in files:
        words = ['configs/d.py', path, 2, '--cfg-options', 'x=1']
        done = run('mmdet_test.sh', *words, **environment)
        assert done.returncode == 0, done.stderr
        words = done.stdout.splitlines()
        folder = f'{path.parent}/test-my weights-{digest(path)}'
        assert work_dir(words) == folder
        assert words[words.index('--out') + 1] == f'{folder}/metrics.json'
        assert str(path) in words
        assert words[-2:] == ['--cfg-options', 'x=1']


@pytest.mark.parametrize('script', ['mmdet_train.sh', 'mmdet_test.sh'])
def test_mistakes_are_named(run, files, script):
    for words, environment, code, said in (
        (['d.py'], {}, 2, f'{script} CONFIG'),
        (['d.py', 'none.pth', 8], {}, 1, 'at none.pth'),
        (['d.py', files[0], 8], {'LAUNCHER': 'mpi'}, 2, 'slurm, not mpi'),
        (['d.py', files[0], 8], {'LAUNCHER': 'slurm'}, 1, 'set PARTITION'),
    ):
        done = run(script, *words, **environment)
        assert done.returncode == code
        assert said in done.stderr
