"""What can go wrong while the environment is made, and what it says."""

import importlib.util
import subprocess
import sys

import pytest


@pytest.fixture
def setup_env(root, tmp_path, monkeypatch):
    """The script as a module, with a checkout and cache of its own."""
    path = root / 'tools' / 'dev' / 'setup_env.py'
    spec = importlib.util.spec_from_file_location('setup_env', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    checkout = tmp_path / 'checkout'
    (checkout / 'requirements').mkdir(parents=True)
    for name in ('default.txt', 'upstream.txt', 'overrides.txt'):
        text = (root / 'requirements' / name).read_text()
        (checkout / 'requirements' / name).write_text(text)
    (checkout / 'setup.py').touch()
    monkeypatch.setattr(module, 'ROOT', checkout)
    monkeypatch.setattr(module, 'CACHE', tmp_path / 'cache')
    return module


def test_no_compiler_is_said_before_anything_is_made(setup_env, monkeypatch):
    monkeypatch.setenv('CXX', 'no-such-compiler')
    with pytest.raises(setup_env.SetupError) as error:
        setup_env.main()
    assert 'no-such-compiler is not on PATH' in str(error.value)
    assert 'apt-get install build-essential python3-dev' in str(error.value)
    assert not (setup_env.ROOT / '.venv').exists()


def test_a_full_disk_is_said_before_anything_is_made(setup_env, monkeypatch):
    monkeypatch.setitem(setup_env.DISK, 'default', 10**9)
    with pytest.raises(setup_env.SetupError, match=r'free at .* are needed'):
        setup_env.main()


def test_a_wrong_python_is_refused_with_the_right_ones(setup_env, monkeypatch):
    monkeypatch.setattr(setup_env.shutil, 'which', lambda name: None)
    with pytest.raises(
        setup_env.SetupError, match=r'Python 2\.6 to 2\.7 is needed'
    ):
        setup_env.find_python((2, 6), (2, 7))
    assert setup_env.find_python((3, 0), (3, 99)) == sys.executable


def test_another_python_on_path_is_taken(setup_env, monkeypatch):
    monkeypatch.setattr(
        setup_env.shutil,
        'which',
        lambda name: '/somewhere' if name == 'python3.55' else None,
    )
    assert setup_env.find_python((3, 50), (3, 60)) == '/somewhere'


@pytest.mark.parametrize(
    ('output', 'advice'),
    [
        ('error: No space left on device (os error 28)', 'the disk is full'),
        ('failed: dns error: lookup', 'the package index cannot be reached'),
        ('Connection refused', 'check the network'),
        ('something else', 'run the same make verb again'),
    ],
)
def test_a_failed_step_shows_its_output_and_a_cause(setup_env, output, advice):
    script = f'import sys; print({output!r}); sys.exit(3)'
    with pytest.raises(setup_env.SetupError) as error:
        setup_env.run([sys.executable, '-c', script])
    assert output in str(error.value)
    assert advice in str(error.value)


def test_a_failure_leaves_no_stamp_and_a_retry_goes_on(setup_env, monkeypatch):
    venv = setup_env.ROOT / '.venv'
    monkeypatch.setattr(setup_env, 'check_compiler', lambda python: None)
    monkeypatch.setattr(setup_env, 'check_disk', lambda gigabytes: None)
    monkeypatch.setattr(setup_env, 'find_uv', lambda: 'uv')
    steps = []

    def fail_at_install(command, **options):
        steps.append([str(word) for word in command])
        if 'install' in steps[-1]:
            raise setup_env.SetupError('interrupted')
        venv.mkdir(exist_ok=True)

    monkeypatch.setattr(setup_env, 'run', fail_at_install)
    for _ in range(2):
        with pytest.raises(setup_env.SetupError, match='interrupted'):
            setup_env.main()
        assert not (venv / setup_env.STAMP).exists()
    assert [step[1] for step in steps] == ['venv', 'pip'] * 2


def test_a_stamp_is_not_believed_without_the_packages(setup_env):
    venv = setup_env.ROOT / '.venv'
    (venv / 'bin').mkdir(parents=True)
    assert not setup_env.is_whole(venv)
    (venv / 'bin' / 'python').symlink_to('/bin/false')
    assert not setup_env.is_whole(venv)


def test_changed_requirements_change_the_fingerprint(setup_env):
    before = setup_env.fingerprint('default', sys.executable)
    path = setup_env.ROOT / 'requirements' / 'default.txt'
    path.write_text(path.read_text() + 'six\n')
    assert setup_env.fingerprint('default', sys.executable) != before


def test_the_wheel_is_kept_by_torch_python_platform_and_version(setup_env):
    name = setup_env.wheel_folder(sys.executable).name
    tag = sys.implementation.cache_tag
    assert name.startswith('mmcv2.3.6-torch2.10.0-')
    assert tag in name
    assert setup_env.cached_wheel(setup_env.wheel_folder(sys.executable)) is (
        None
    )


def test_a_wheel_without_ops_is_not_kept(setup_env, tmp_path, monkeypatch):
    wheels = tmp_path / 'wheels'

    def build(command, **options):
        folder = wheels / 'building'
        folder.mkdir()
        with setup_env.zipfile.ZipFile(folder / 'a.whl', 'w') as archive:
            archive.writestr('mmcv/__init__.py', '')

    monkeypatch.setattr(setup_env, 'run', build)
    with pytest.raises(setup_env.SetupError, match='built without its ops'):
        setup_env.build_mmcv(tmp_path, 'onedl-mmcv==2.3.6', wheels)
    assert setup_env.cached_wheel(wheels) is None


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
