"""The set-up makes a whole environment, or says what is missing."""

import ast
import importlib.util
import shutil
import subprocess
import sys
from functools import partial

import pytest


@pytest.fixture
def env(root, tmp_path, monkeypatch):
    """The set-up with a checkout and a cache of its own."""
    path = root / 'tools' / 'dev' / 'setup_env.py'
    monkeypatch.syspath_prepend(path.parent)
    spec = importlib.util.spec_from_file_location('setup_env', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    checkout = tmp_path / 'checkout'
    shutil.copytree(root / 'requirements', checkout / 'requirements')
    (checkout / 'sce_mm' / '.mim' / 'configs').mkdir(parents=True)
    (checkout / 'sce_mm' / 'version.py').touch()
    (checkout / 'setup.py').touch()
    (checkout / 'pyproject.toml').touch()
    monkeypatch.setattr(module, 'ROOT', checkout)
    monkeypatch.setattr(module, 'CACHE', tmp_path / 'cache')
    monkeypatch.setattr(module, 'find_uv', lambda: 'uv')
    return module


@pytest.fixture
def steps(env, monkeypatch):
    """``steps``: what would be run; a word put into ``fail`` fails."""
    done = Steps()

    def run(command, what='', **options):
        done.append([str(word) for word in command])
        done.ops.append(options.get('env', {}).get('MMCV_WITH_OPS'))
        if done.fail and done.fail in done[-1][-1]:
            raise env.SetupError('interrupted')
        if done[-1][1] == 'venv':
            (command[-1] / 'bin').mkdir(parents=True, exist_ok=True)
            (command[-1] / 'bin' / 'python').touch()
        if '-w' in done[-1]:
            folder = command[command.index('-w') + 1]
            folder.mkdir(parents=True)
            (folder / 'a.whl').touch()

    monkeypatch.setattr(env, 'run', run)
    monkeypatch.setattr(env, 'check_compiler', lambda: None)
    return done


class Steps(list):
    """Commands, one a step, and what each is told about compiling."""

    fail = ''

    def __init__(self):
        self.ops = []


def made(env):
    venv = env.ROOT / '.venv'
    return env.is_whole(venv, env.fingerprint('default'))


def test_an_environment_is_whole_and_left_alone_until_its_files_change(
    env, steps
):
    set_up = partial(env.bring_up_to_date, 'default')
    steps.fail = 'sce_mm.detection'
    for _ in range(2):
        with pytest.raises(env.SetupError, match='interrupted'):
            set_up()
        assert not made(env)
    steps.fail = ''
    set_up()
    assert made(env)
    count = len(steps)
    set_up()
    (env.ROOT / 'requirements' / 'upstream.txt').write_text('six\n')
    set_up()
    assert len(steps) == count
    for path in (env.ROOT / '.venv/bin/python', env.ROOT / 'sce_mm/.mim'):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        assert not made(env)
        (env.ROOT / 'sce_mm/.mim/configs').mkdir(parents=True, exist_ok=True)
        set_up()
    with (env.ROOT / 'requirements' / 'default.txt').open('a') as file:
        file.write('six\n')
    set_up()
    assert any('six' in step for step in steps)
    assert made(env)


def test_mmcv_is_compiled_once_and_kept_once_its_ops_import(env, steps):
    lines = ['torch==2.10.0', 'onedl-mmcv==2.3.6']
    kept = env.wheel_folder(lines)
    assert kept.name.startswith('mmcv2.3.6-torch2.10.0-cp')
    steps.fail = 'import mmcv.ops'
    with pytest.raises(env.SetupError):
        env.bring_up_to_date('default')
    assert not env.cached_wheels(kept)
    steps.fail = ''
    env.bring_up_to_date('default')
    assert env.cached_wheels(kept) == [kept / 'a.whl']
    steps.clear()
    shutil.rmtree(env.ROOT / '.venv')
    env.bring_up_to_date('default')
    assert not any('-w' in step for step in steps)
    assert any(str(kept / 'a.whl') in step for step in steps)
    # The machine may have changed since it was compiled.
    steps.fail = 'sce_mm.detection'
    (env.ROOT / 'setup.py').write_text('# changed')
    with pytest.raises(env.SetupError, match=f'remove {kept} and try again'):
        env.bring_up_to_date('default')


def test_pretraining_alone_needs_no_compiler(env, steps, monkeypatch, capsys):
    def refuse():
        raise env.SetupError('no compiler')

    monkeypatch.setattr(env, 'check_compiler', refuse)
    with pytest.raises(env.SetupError, match='no compiler'):
        env.bring_up_to_date('default')
    text = capsys.readouterr().out
    assert f'the first time takes {env.TAKES["default"]}' in text
    assert '`make setup-pretrain` needs no compiler' in text
    assert not steps
    env.bring_up_to_date('pretrain')
    assert env.TAKES['pretrain'] in capsys.readouterr().out
    (packages,) = (s for s in steps if 'onedl-mmcv==2.3.6' in s)
    assert steps.ops[steps.index(packages)] == '0'
    assert not any('-w' in step for step in steps)


@pytest.mark.parametrize(
    ('compiler', 'words'),
    [
        ('no-such-compiler', 'no-such-compiler is not on PATH'),
        ('sh', r'no .*/Python\.h'),
    ],
)
def test_what_compiling_needs_is_asked_before_anything_is_made(
    env, monkeypatch, tmp_path, compiler, words
):
    paths = {'include': str(tmp_path)}
    monkeypatch.setattr(env.sysconfig, 'get_paths', lambda: paths)
    monkeypatch.setenv('CXX', compiler)
    with pytest.raises(env.SetupError, match=words) as error:
        env.bring_up_to_date('default')
    assert 'apt-get install build-essential python3-dev' in str(error.value)
    assert not (env.ROOT / '.venv').exists()


def test_a_gpu_needs_its_compiler(env, monkeypatch):
    monkeypatch.setattr(env, 'sees_gpu', lambda: True)
    monkeypatch.setattr(env, 'has_nvcc', lambda: False)
    with pytest.raises(env.SetupError, match='needs nvcc') as error:
        env.check_compiler()
    assert 'export CUDA_HOME' in str(error.value)
    assert 'make setup-pretrain' in str(error.value)
    monkeypatch.setattr(env, 'has_nvcc', lambda: True)
    env.check_compiler()


@pytest.mark.parametrize('version', [(3, 10, 1), (3, 13, 0)])
def test_a_wrong_python_is_told_the_right_ones(env, root, version):
    with pytest.raises(env.SetupError, match=r'Python 3\.11 to 3\.12 is need'):
        env.check_python(env.PYTHONS['default'], version)
    env.check_python(env.PYTHONS['default'], (3, 12, 4))
    # An old one can read the files that say so.
    for name in ('setup_env.py', 'setup_progress.py'):
        text = (root / 'tools' / 'dev' / name).read_text()
        ast.parse(text, feature_version=(3, 6))


def test_a_failed_step_shows_what_it_printed(env):
    script = 'import sys; print("No space left"); sys.exit(3)'
    with pytest.raises(env.SetupError, match='No space left') as error:
        env.run([sys.executable, '-c', script])
    assert 'run the same make verb again' in str(error.value)


def test_a_second_set_up_waits_for_the_first(env, tmp_path):
    code = (
        'import sys; from pathlib import Path; from setup_env import locked\n'
        'with locked(Path(sys.argv[1])): print("in", flush=True)'
    )
    command = [sys.executable, '-c', code, str(tmp_path / 'lock')]
    folder = env.Path(env.__file__).parent
    with env.locked(tmp_path / 'lock'):
        other = subprocess.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, text=True
        )
        assert 'waiting for another' in other.stdout.readline()
    rest, _ = other.communicate(timeout=30)
    assert rest == 'in\n'


def test_the_command_line_prints_the_message_alone(env):
    with pytest.raises(
        SystemExit, match=r"^\[setup\] no column 'other': take"
    ):
        env.main('other')


def test_progress_of_downloads_and_of_compiling(env):
    progress = sys.modules['setup_progress'].Progress()
    start = progress.start
    assert progress.text(start + 7) == '7 s'
    for line in (
        'Downloading torch (507.5MiB)',
        'Downloading numpy (512.0KiB)',
        ' Downloaded torch',
    ):
        progress.read(line)
    said = '8 s, 508 of 508 MB downloaded, 1 files under way'
    assert progress.text(start + 8) == said
    progress.read('Prepared 98 packages in 2m 41s')
    assert progress.text(start + 9) == '9 s, prepared 98 packages in 2m 41s'
    compiling = sys.modules['setup_progress'].Progress()
    compiling.read('  [40/160] c++ -MMD -MF nms.o.d')
    assert compiling.text(compiling.start + 120) == (
        '2 min, 40 of 160 files, about 6 min left'
    )


def test_a_long_step_says_that_it_goes_on(env, capsys, monkeypatch):
    module = sys.modules['setup_progress']
    monkeypatch.setitem(module.EVERY, False, 0.1)
    code = 'print("[9/10] c++"); import time; time.sleep(1.2)'
    module.run([sys.executable, '-u', '-c', code], 'the ops')
    *lines, last = capsys.readouterr().out.splitlines()
    assert all(line.startswith('[setup] the ops: ') for line in lines)
    assert lines[-1].endswith('left')
    assert last.startswith('[setup] the ops: done in ')
