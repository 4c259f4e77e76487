"""What the set-up says when a machine or a step is not up to it."""

import subprocess
import sys

import pytest


def test_no_compiler_is_said_before_anything_is_made(dev, monkeypatch):
    monkeypatch.setenv('CXX', 'no-such-compiler')
    with pytest.raises(
        dev.steps.SetupError, match='no-such-compiler is not on PATH'
    ) as error:
        dev.environment.bring_up_to_date('default')
    assert 'apt-get install build-essential python3-dev' in str(error.value)
    assert not (dev.environment.ROOT / '.venv').exists()


def test_missing_headers_are_said(dev, monkeypatch, tmp_path):
    paths = {'include': str(tmp_path)}
    monkeypatch.setattr(dev.preflight.sysconfig, 'get_paths', lambda: paths)
    monkeypatch.setenv('CXX', 'sh')
    with pytest.raises(dev.steps.SetupError, match=r'no .*/Python\.h'):
        dev.preflight.check_compiler()


def test_a_full_disk_is_said_before_anything_is_made(dev, monkeypatch):
    monkeypatch.setattr(dev.environment, 'check_compiler', lambda: None)
    monkeypatch.setitem(dev.environment.DISK, 'default', 10**9)
    with pytest.raises(dev.steps.SetupError, match=r'free at .* are needed'):
        dev.environment.bring_up_to_date('default')
    assert not (dev.environment.ROOT / '.venv').exists()


def test_a_second_checkout_needs_little_disk(
    dev, steps_only, monkeypatch, request
):
    asked = []
    monkeypatch.setattr(
        dev.environment, 'check_disk', lambda _, size: asked.append(size)
    )
    dev.environment.make(dev.environment.ROOT / '.venv', 'default')
    request.getfixturevalue('kept_wheel')
    dev.environment.make(dev.environment.ROOT / '.venv', 'default')
    assert asked == [dev.environment.DISK['default'], 1, 1, 1]


def test_a_wrong_python_is_refused_with_the_right_ones(dev, monkeypatch):
    monkeypatch.setenv('PATH', '/nowhere')
    with pytest.raises(SystemExit, match=r'Python 3\.50 to 3\.52 is needed'):
        dev.setup_env.find_python((3, 50), (3, 52))
    assert dev.setup_env.find_python((3, 0), (3, 99)) == sys.executable


def test_another_python_on_path_is_taken_if_it_runs(
    dev, monkeypatch, tmp_path, executable
):
    # As version managers put them there for versions not activated.
    executable(tmp_path / 'python3.52', 'exit 127')
    executable(tmp_path / 'python3.51', 'exit 0')
    monkeypatch.setenv('PATH', str(tmp_path))
    assert dev.setup_env.find_python((3, 50), (3, 52)) == 'python3.51'


def test_old_pythons_can_read_the_entry(root):
    # 3.6 had neither walrus nor union types nor positional-only arguments.
    import ast

    text = (root / 'tools' / 'dev' / 'setup_env.py').read_text()
    tree = ast.parse(text, feature_version=(3, 6))
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    assert functions
    assert not any(f.returns or f.args.args[0].annotation for f in functions)


@pytest.mark.parametrize(
    ('output', 'advice'),
    [
        ('error: No space left on device (os error 28)', 'the disk is full'),
        ('failed: dns error: lookup', 'the package index cannot be reached'),
        ('Connection refused', 'check the network'),
        ('something else', 'run the same make verb again'),
    ],
)
def test_a_failed_step_shows_its_output_and_a_cause(dev, output, advice):
    script = f'import sys; print({output!r}); sys.exit(3)'
    with pytest.raises(dev.steps.SetupError) as error:
        dev.steps.run([sys.executable, '-c', script])
    assert output in str(error.value)
    assert advice in str(error.value)


def test_no_installer_and_no_way_to_get_one_is_said(
    dev, monkeypatch, tmp_path, executable
):
    executable(tmp_path / 'python3', 'echo No module named $2; exit 1')
    monkeypatch.setenv('PATH', str(tmp_path))
    monkeypatch.setattr(dev.preflight.sys, 'executable', tmp_path / 'python3')
    with pytest.raises(
        dev.steps.SetupError, match='apt-get install python3-venv'
    ):
        dev.preflight.find_uv()


def test_the_command_line_prints_the_message_alone(root):
    done = subprocess.run(
        [sys.executable, 'tools/dev/setup_env.py', 'other'],
        cwd=root,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.strip() == (
        "[setup] no column 'other': use default or upstream"
    )
