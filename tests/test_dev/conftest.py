"""The benchmarks, which are scripts that import one another."""

import importlib
import sys

import pytest

MODULES = (
    'gpu',
    'gpu_sections',
    'loss',
    'measuring',
    'memory',
    'page',
    'scale',
    'shards',
    'start',
    'step',
    'torch_compiler',
    'views',
)


@pytest.fixture
def tool(root, monkeypatch):
    """``tool(name)``: a module of tools/dev/speed, fresh."""
    monkeypatch.syspath_prepend(str(root / 'tools' / 'dev' / 'speed'))
    for each in MODULES:
        monkeypatch.delitem(sys.modules, each, raising=False)
    yield importlib.import_module
    for each in MODULES:
        sys.modules.pop(each, None)
