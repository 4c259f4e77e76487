"""The doctor names each illness with its remedy, and health as such."""

import sys

import pytest

from sce_mm.doctor import __main__ as doctor
from sce_mm.doctor import packages as stack


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
    assert text.endswith('nothing to mend\n')
    assert 'pretraining can run' in text
    for name in stack.found_modules():
        assert f'{name}: {stack.owners_of(name)[0]}' in text


def bad(findings):
    return [f.text for f in findings if f.well is False]


def test_two_owners_of_cv2_are_named_with_the_way_out(monkeypatch):
    owners = ['opencv-python 4.11', 'opencv-python-headless 5.0']
    monkeypatch.setattr(doctor, 'owners_of', lambda module: owners)
    (text,) = bad(doctor._opencv())
    assert text == (
        'opencv-python 4.11 and opencv-python-headless 5.0 both own cv2: '
        'pip uninstall -y opencv-python opencv-python-headless && '
        'pip install opencv-python-headless'
    )


def test_a_broken_cv2_is_reported(monkeypatch):
    monkeypatch.setitem(sys.modules, 'cv2', None)
    (text,) = bad(doctor._opencv())
    assert 'cv2 does not import' in text
    assert text.endswith('pip install opencv-python-headless')


def test_a_missing_torch_is_reported(monkeypatch):
    monkeypatch.setitem(sys.modules, 'torch', None)
    (text,) = bad(doctor._torch())
    assert text.endswith('pip install torch torchvision')


@pytest.mark.parametrize(
    ('found', 'healthy'), [('81.0.0', True), ('82.0.1', False)]
)
def test_upstream_mmengine_needs_an_older_setuptools(
    monkeypatch, found, healthy
):
    monkeypatch.setattr(doctor, 'version', lambda name: found)
    assert (bad(doctor._setuptools(needed=True)) == []) is healthy
    assert bad(doctor._setuptools(needed=False)) == []


def test_missing_ops_matter_to_detection_only(monkeypatch):
    monkeypatch.setitem(sys.modules, 'mmcv.ops', None)
    (text,) = bad(doctor._ops(True, 'the remedy'))
    assert 'no compiled ops' in text
    assert text.endswith('the remedy')
    assert bad(doctor._ops(False, 'the remedy')) == []


def test_ops_that_compute_wrongly_are_reported(monkeypatch):
    import torch

    class Ops:
        @staticmethod
        def nms(boxes, scores, threshold):
            return boxes, torch.arange(3)

    monkeypatch.setattr(doctor, 'import_module', lambda name: Ops)
    texts = bad(doctor._ops(True, 'the remedy'))
    assert texts[0] == 'nms of mmcv fails on cpu ([0, 1, 2]): the remedy'


def test_problems_of_the_stack_end_in_status_1(monkeypatch, report):
    monkeypatch.setattr(doctor, 'find_problems', lambda *args: ['mixed: do x'])
    status, text = report()
    assert status == 1
    assert '[BAD]  mixed: do x' in text
    assert text.endswith('1 problem(s)\n')
