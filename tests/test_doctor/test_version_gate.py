"""The version gate: what it refuses, and the command that fixes it."""

import subprocess
import sys

import pytest

from sce_mm.doctor import packages, version_gate
from sce_mm.doctor.version_gate import (
    DETECTION,
    SEGMENTATION,
    find_problems,
    require_mmdet,
    require_mmseg,
)

ONEDL = {
    'onedl-mmengine': '0.10.12',
    'onedl-mmcv': '2.3.6',
    'onedl-mmpretrain': '1.3.6',
}
UPSTREAM = {'mmengine': '0.10.7', 'mmcv-lite': '2.1.0', 'mmpretrain': '1.2.0'}
FOUND = dict.fromkeys(('mmengine', 'mmcv', 'mmpretrain'))


@pytest.mark.parametrize(
    'installed',
    [
        ONEDL,
        UPSTREAM,
        ONEDL | {'onedl-mmdetection': '3.5.1'},
        {'mmengine': '0.10.7', 'mmcv': '2.1.0', 'mmpretrain': '1.2.0'},
        # Pretraining does not use it.
        UPSTREAM | {'mmdet': '2.28.0'},
    ],
)
def test_supported_stacks_have_no_problem(installed):
    assert find_problems(installed, FOUND) == []


def test_sources_on_the_path_need_no_distribution():
    stated = {'mmengine': '0.10.7', 'mmcv': '2.1.0', 'mmpretrain': None}
    assert find_problems({}, stated) == []
    (problem,) = find_problems({}, stated | {'mmcv': '1.7.0'})
    assert problem == (
        "mmcv 1.7.0 is not supported: pip install 'mmcv>=2.0,<2.4'"
    )


@pytest.mark.parametrize(
    ('installed', 'signs'),
    [
        (
            ONEDL | {'mmengine': '0.10.7'},
            ['two families', 'pip uninstall -y mmengine onedl-mmengine'],
        ),
        (
            UPSTREAM | {'onedl-mmdetection': '3.5.1'},
            ['two families', "'onedl-mmdetection>=3.2,<4.0'"],
        ),
        (
            UPSTREAM | {'mmcv': '2.1.0'},
            ['mmcv and mmcv-lite both own mmcv', 'pip install mmcv'],
        ),
        (
            UPSTREAM | {'mmengine': '0.7.0'},
            ['mmengine 0.7.0', "pip install 'mmengine>=0.8.3,<1.0'"],
        ),
    ],
)
def test_each_problem_names_its_remedy(installed, signs):
    (problem,) = find_problems(installed, FOUND)
    for sign in signs:
        assert sign in problem


@pytest.mark.parametrize(
    ('installed', 'found', 'remedy'),
    [
        (
            {},
            {},
            'mmengine, mmcv, mmpretrain is missing: pip install '
            "'onedl-mmengine>=0.8.3,<1.0' 'onedl-mmcv>=2.0,<2.4' "
            "'onedl-mmpretrain>=1.2,<2.0'",
        ),
        (
            {'mmengine': '0.10.7', 'mmcv': '2.1.0'},
            {'mmengine': None, 'mmcv': None},
            "mmpretrain is missing: pip install 'mmpretrain>=1.2,<2.0'",
        ),
        (
            # What uninstalling one of two families leaves behind.
            ONEDL,
            {'mmcv': None, 'mmpretrain': None},
            'onedl-mmengine is installed, but the files of mmengine are '
            'gone: pip install --force-reinstall --no-deps '
            'onedl-mmengine==0.10.12',
        ),
    ],
)
def test_what_is_missing_is_named_with_its_remedy(installed, found, remedy):
    assert find_problems(installed, found) == [remedy]


def test_modules_are_found_without_being_imported(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    names = {'a_literal': None, 'b_computed': None, 'c_leftover': None}
    monkeypatch.setattr(packages, 'PACKAGES', names | {'d_absent': None})
    for name, version in (
        ('a_literal', "__version__ = '1.2.3'\n"),
        ('b_computed', '__version__ = version(name)\n'),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / '__init__.py').write_text('raise ImportError')
        (tmp_path / name / 'version.py').write_text(version)
    (tmp_path / 'c_leftover' / '__pycache__').mkdir(parents=True)
    assert packages.found_modules() == {
        'a_literal': '1.2.3',
        'b_computed': None,
    }


def python(*words, path):
    return subprocess.run(
        [sys.executable, '-W', 'ignore', *words],
        capture_output=True,
        text=True,
        env={'PATH': '/usr/bin:/bin', 'PYTHONPATH': str(path)},
    )


@pytest.mark.integration
def test_a_mixed_stack_stops_the_import_and_the_doctor_still_works(tmp_path):
    mixed = packages.family_of(packages.installed_distributions()) == 'onedl'
    other = 'mmengine' if mixed else 'onedl-mmengine'
    info = tmp_path / f'{other.replace("-", "_")}-0.10.7.dist-info'
    info.mkdir()
    metadata = f'Metadata-Version: 2.1\nName: {other}\nVersion: 0.10.7\n'
    (info / 'METADATA').write_text(metadata)
    imported = python('-c', 'import sce_mm', path=tmp_path)
    assert imported.returncode == 1
    assert 'ImportError: sce_mm cannot work with' in imported.stderr
    assert 'two families of OpenMMLab are installed' in imported.stderr
    doctor = python('-m', 'sce_mm.doctor', path=tmp_path)
    assert doctor.returncode == 1
    assert '[BAD]' in doctor.stdout
    assert 'pip uninstall -y' in doctor.stdout


@pytest.mark.integration
def test_a_bare_python_is_told_what_to_install(root, tmp_path):
    # Only our own package and `packaging` are in sight.
    import packaging

    (tmp_path / 'sce_mm').symlink_to(root / 'sce_mm')
    (tmp_path / 'packaging').symlink_to(packaging.__path__[0])
    imported = python('-S', '-c', 'import sce_mm', path=tmp_path)
    assert 'mmengine, mmcv, mmpretrain is missing' in imported.stderr
    assert 'torch is missing' in imported.stderr
    doctor = python('-S', '-m', 'sce_mm.doctor', path=tmp_path)
    assert doctor.returncode == 1
    assert 'mmpretrain is missing: pip install' in doctor.stdout
    assert 'cv2 does not work' in doctor.stdout


@pytest.mark.parametrize(
    ('require', 'needed', 'installed', 'remedy'),
    [
        (
            require_mmdet,
            DETECTION,
            ONEDL | {'onedl-mmdetection': '3.5'},
            'MMCV_WITH_OPS=1 pip install',
        ),
        (
            require_mmdet,
            DETECTION,
            UPSTREAM | {'mmdet': '3.3.0'},
            r'mim install mmcv==2\.1\.0',
        ),
        (
            require_mmseg,
            SEGMENTATION,
            UPSTREAM | {'mmsegmentation': '1.2.2'},
            r'mim install mmcv==2\.1\.0',
        ),
        (
            require_mmseg,
            FOUND,
            ONEDL,
            "mmseg is missing: pip install 'onedl-mmsegmentation>=1.2,<2.0'",
        ),
        (
            require_mmseg,
            FOUND,
            UPSTREAM,
            "mmseg is missing: pip install 'mmsegmentation>=1.2,<2.0'",
        ),
    ],
)
def test_missing_ops_and_packages_say_what_to_install(
    monkeypatch, require, needed, installed, remedy
):
    found = dict.fromkeys(needed)
    monkeypatch.setattr(
        version_gate, 'installed_distributions', installed.copy
    )
    monkeypatch.setattr(version_gate, 'found_modules', found.copy)
    monkeypatch.setitem(sys.modules, 'mmcv._ext', None)
    with pytest.raises(ImportError, match=remedy):
        require()
