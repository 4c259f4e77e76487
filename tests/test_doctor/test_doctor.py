"""The doctor names each problem with its remedy."""

import sys

import pytest

from sce_mm.doctor import __main__ as doctor
from sce_mm.doctor import packages


@pytest.fixture
def report(capsys):
    """``report()`` -> exit status and text of the doctor."""

    def run():
        status = doctor.main()
        return status, capsys.readouterr().out

    return run


@pytest.mark.integration
def test_this_environment_is_healthy(report):
    status, text = report()
    assert status == 0, text
    assert 'pretraining works' in text
    for name in packages.found_modules():
        assert f'{name}: {packages.distributions_of(name)[0]}' in text


def test_two_owners_of_cv2_are_named_with_the_way_out(monkeypatch):
    owners = ['opencv-python 4.11', 'opencv-python-headless 5.0']
    monkeypatch.setattr(doctor, 'distributions_of', lambda module: owners)
    ok, text = doctor._opencv()
    assert ok is False
    assert text == (
        'opencv-python 4.11 and opencv-python-headless 5.0 both own cv2: '
        'pip uninstall -y opencv-python opencv-python-headless && '
        'pip install opencv-python-headless'
    )


def test_what_does_not_import_is_reported(monkeypatch, report):
    monkeypatch.setattr(doctor, 'find_problems', lambda *args: ['mixed: do x'])
    monkeypatch.setitem(sys.modules, 'torch', None)
    status, text = report()
    assert status == 1
    assert '[BAD]  mixed: do x' in text
    (line,) = (x for x in text.splitlines() if '  torch does not' in x)
    assert line.endswith('pip install torch torchvision')


@pytest.mark.parametrize(
    ('ops', 'first'),
    [(False, "pip install 'torch<2.13'"), (True, 'pip install ')],
)
def test_what_detection_additions(monkeypatch, ops, first):
    monkeypatch.setattr(doctor, 'has_ops', lambda: ops)
    commands = doctor._additions(['mmdet', 'mmseg'], 'onedl')
    assert commands.startswith(first)
    assert commands.endswith(
        "pip install 'onedl-mmdetection>=3.2,<4.0' "
        "'onedl-mmsegmentation>=1.2,<2.0'"
    )
    assert ('MMCV_WITH_OPS=1' in commands) is not ops
