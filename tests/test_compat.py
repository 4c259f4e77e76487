"""The version gate: what it refuses, and the command that mends it."""

import subprocess
import sys

import pytest

from sce_mm.compat import find_problems, require_mmdet

ONEDL = {
    'onedl-mmengine': '0.10.12',
    'onedl-mmcv': '2.3.6',
    'onedl-mmpretrain': '1.3.6',
}
UPSTREAM = {'mmengine': '0.10.7', 'mmcv-lite': '2.1.0', 'mmpretrain': '1.2.0'}


@pytest.mark.parametrize(
    'installed',
    [
        ONEDL,
        UPSTREAM,
        ONEDL | {'onedl-mmdetection': '3.5.1'},
        {'mmengine': '0.10.7', 'mmcv': '2.1.0', 'mmpretrain': '1.2.0'},
    ],
)
def test_supported_stacks_have_no_problem(installed):
    assert find_problems(installed) == []


@pytest.mark.parametrize(
    ('installed', 'signs'),
    [
        ({}, ['mmengine is missing', "pip install 'sce_mm[onedl]'"]),
        (
            {'mmengine': '0.10.7', 'mmcv-lite': '2.1.0'},
            ['mmpretrain is missing', "pip install 'sce_mm[openmmlab]'"],
        ),
        (
            ONEDL | {'mmengine': '0.10.7'},
            ['two families', 'pip uninstall -y mmengine onedl-mmengine'],
        ),
        (
            UPSTREAM | {'onedl-mmdetection': '3.5.1'},
            ['two families', 'onedl-mmdetection'],
        ),
        (
            UPSTREAM | {'mmcv': '2.1.0'},
            ['mmcv and mmcv-lite both own mmcv', 'pip install mmcv'],
        ),
        (
            UPSTREAM | {'mmengine': '0.7.0'},
            ['mmengine 0.7.0', "pip install 'mmengine>=0.8.3,<1.0'"],
        ),
        (
            ONEDL | {'onedl-mmcv': '3.0.0'},
            ["pip install 'onedl-mmcv>=2.0,<2.4'"],
        ),
        (UPSTREAM | {'mmpretrain': '1.0.0'}, ['mmpretrain 1.0.0 is not']),
    ],
)
def test_each_problem_names_its_remedy(installed, signs):
    problems = '\n'.join(find_problems(installed))
    for sign in signs:
        assert sign in problems


def fake_distribution(folder, name, version):
    info = folder / f'{name.replace("-", "_")}-{version}.dist-info'
    info.mkdir()
    metadata = f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n'
    (info / 'METADATA').write_text(metadata)


def python(*words, path=None):
    env = {'PYTHONPATH': str(path)} if path else {}
    return subprocess.run(
        [sys.executable, '-W', 'ignore', *words],
        capture_output=True,
        text=True,
        env={'PATH': '/usr/bin:/bin', **env},
    )


@pytest.mark.integration
def test_a_mixed_stack_stops_the_import_and_the_doctor_still_works(tmp_path):
    ours = 'onedl-mmengine'
    probe = f"import importlib.metadata as m; m.version('{ours}')"
    other = 'mmengine' if not python('-c', probe).returncode else ours
    fake_distribution(tmp_path, other, '0.10.7')
    imported = python('-c', 'import sce_mm', path=tmp_path)
    assert imported.returncode == 1
    assert 'ImportError: sce_mm cannot work with' in imported.stderr
    assert 'two families of OpenMMLab are installed' in imported.stderr
    doctor = python('-m', 'sce_mm.doctor', path=tmp_path)
    assert doctor.returncode == 1
    assert '[BAD]' in doctor.stdout
    assert 'pip uninstall -y' in doctor.stdout


@pytest.mark.integration
def test_the_doctor_finds_this_environment_healthy():
    doctor = python('-m', 'sce_mm.doctor')
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr
    assert 'nothing to mend' in doctor.stdout


def test_missing_mmdet_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, 'mmdet', None)
    with pytest.raises(ImportError, match='detection needs mmdet and an mmcv'):
        require_mmdet()
