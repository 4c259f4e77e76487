import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / 'tools' / 'demo'


@pytest.fixture(autouse=True, scope='package')
def demo_modules():
    """The demo's modules lie beside its scripts."""
    sys.path.insert(0, str(TOOLS))
    yield
    sys.path.remove(str(TOOLS))
