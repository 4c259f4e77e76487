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
    if name.startswith('sce_mm/detection/'):
        pytest.importorskip('mmdet')
    module = import_module(name.removesuffix('.py').replace('/', '.'))
    done = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert done.attempted
    assert not done.failed
