"""The examples in docstrings of the package give what they say."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / 'sce_mm'
FILES = [p for p in PACKAGE.rglob('*.py') if '>>> ' in p.read_text()]


@pytest.mark.parametrize(
    'name', sorted(str(path.relative_to(PACKAGE.parent)) for path in FILES)
)
def test_examples(name):
    for room, needed in (('detection', 'mmdet'), ('segmentation', 'mmseg')):
        if name.startswith(f'sce_mm/{room}/'):
            pytest.importorskip(needed)
    module = import_module(name.removesuffix('.py').replace('/', '.'))
    done = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert done.attempted
    assert not done.failed
