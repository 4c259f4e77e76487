"""An environment is whole, or it is not taken for one."""

import os
import shutil
import subprocess
import sys

import pytest


@pytest.fixture
def lists(dev, executable):
    """``lists(packages)``: a python in `.venv` that prints them."""
    python = dev.environment.ROOT / '.venv' / 'bin' / 'python'
    return lambda packages: executable(python, f"printf '{packages}\\n'")


@pytest.fixture
def whole(dev, steps_only, kept_wheel, lists):
    """An environment that was set up with two packages."""
    lists('a==1\\nb==2')
    dev.environment.bring_up_to_date('default')
    return dev.environment.ROOT / '.venv'


def test_a_failure_leaves_no_stamp_and_a_retry_goes_on(
    dev, steps_only, kept_wheel, monkeypatch
):
    venv = dev.environment.ROOT / '.venv'

    def fail_at_install(command, **options):
        steps_only.append([str(word) for word in command])
        if 'install' in steps_only[-1]:
            raise dev.steps.SetupError('interrupted')
        venv.mkdir(exist_ok=True)

    monkeypatch.setattr(dev.environment, 'run', fail_at_install)
    for _ in range(2):
        with pytest.raises(dev.steps.SetupError, match='interrupted'):
            dev.environment.bring_up_to_date('default')
        assert not (venv / dev.environment.STAMP).exists()
    assert [step[1] for step in steps_only] == ['venv', 'pip'] * 2


def test_what_is_whole_is_left_alone(dev, steps_only, whole, lists):
    done = len(steps_only)
    assert done
    dev.environment.bring_up_to_date('default')
    assert len(steps_only) == done
    assert dev.environment.is_whole(whole, 'default')
    # A package that the user added is the user's business.
    lists('a==1\\nb==2\\nc==3')
    assert dev.environment.is_whole(whole, 'default')


@pytest.mark.parametrize('packages', ['a==1', 'a==1\\nb==3', ''])
def test_a_stamp_is_not_believed_without_the_packages(
    dev, whole, lists, packages
):
    lists(packages)
    assert not dev.environment.is_whole(whole, 'default')


def test_a_stamp_is_not_believed_without_the_interpreter(dev, whole):
    (whole / 'bin' / 'python').unlink()
    assert not dev.environment.is_whole(whole, 'default')


def test_a_stamp_is_not_believed_without_the_links_for_mim(dev, whole):
    shutil.rmtree(dev.environment.ROOT / 'sce_mm' / '.mim')
    assert not dev.environment.is_whole(whole, 'default')


def test_changed_requirements_bring_the_environment_up_to_date(
    dev, steps_only, whole
):
    folder = dev.environment.ROOT / 'requirements'
    # Of the other column: no matter.
    (folder / 'upstream.txt').write_text('six\n')
    assert dev.environment.is_whole(whole, 'default')
    with (folder / 'default.txt').open('a') as file:
        file.write('six\n')
    assert not dev.environment.is_whole(whole, 'default')
    dev.environment.bring_up_to_date('default')
    assert any('six' in step for step in steps_only)
    assert dev.environment.is_whole(whole, 'default')


def test_only_the_headless_package_owns_cv2(dev, steps_only, kept_wheel):
    venv = dev.environment.ROOT / '.venv'
    site = venv / 'lib' / 'python3.11' / 'site-packages'
    (site / 'opencv_python-4.11.dist-info').mkdir(parents=True)
    dev.environment.make(venv, 'default')
    assert steps_only[1][1:3] == ['pip', 'uninstall']
    assert {'opencv-python', 'opencv-python-headless'} < set(steps_only[1])
    assert '--override' in steps_only[2]


def test_a_second_set_up_waits_for_the_first(dev, tmp_path):
    code = (
        'import sys; from pathlib import Path; from steps import locked\n'
        'with locked(Path(sys.argv[1])): print("in", flush=True)'
    )
    command = [sys.executable, '-c', code, str(tmp_path / 'lock')]
    folder = os.path.dirname(dev.steps.__file__)
    with dev.steps.locked(tmp_path / 'lock'):
        other = subprocess.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, text=True
        )
        assert 'waiting for another' in other.stdout.readline()
    rest, _ = other.communicate(timeout=30)
    assert rest == 'in\n'


def test_a_cached_wheel_that_does_not_work_is_named(
    dev, steps_only, kept_wheel, monkeypatch
):
    def fail_at_import(command, **options):
        if command[-1] == dev.environment.CHECK['default']:
            raise dev.steps.SetupError('undefined symbol')

    monkeypatch.setattr(dev.environment, 'run', fail_at_import)
    with pytest.raises(
        dev.steps.SetupError, match='undefined symbol'
    ) as error:
        dev.environment.bring_up_to_date('default')
    assert f'remove {kept_wheel} and try again' in str(error.value)
