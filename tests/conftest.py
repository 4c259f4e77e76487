"""What several test files share."""

import runpy
import sys
import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

with warnings.catch_warnings():
    # What packages warn of while they are imported is not ours to fix.
    warnings.simplefilter('ignore')
    from mmengine.registry import DefaultScope

    from sce_mm.cli import exit as process_end

ROOT = Path(__file__).parents[1]
# Tests that cannot run, by the package that they need. The environment of
# upstream OpenMMLab has none.
NEEDS = {
    'mmdet': [
        'test_comparison',
        'test_demo',
        'test_detection',
        'test_tools/test_compare.py',
    ],
    'mmseg': ['test_segmentation'],
    'onnx': ['test_transfer/test_export.py'],
}
GPU = 'test_gpu'
collect_ignore = [
    path
    for package, paths in NEEDS.items()
    if find_spec(package) is None
    for path in paths
]
# The oracles of the method, and what several test files build with.
sys.path[:0] = [str(ROOT / 'tests' / each) for each in ('oracle', 'helpers')]


def pytest_ignore_collect(
    collection_path: Path, config: pytest.Config
) -> bool | None:
    """Of ``-m gpu``, look at the one folder: others need more packages."""
    beside = collection_path.parent == ROOT / 'tests'
    alone = config.option.markexpr == 'gpu'
    return True if alone and beside and collection_path.name != GPU else None


@pytest.fixture(autouse=True, scope='session')
def _tests_go_on() -> Iterator[None]:
    """A tool that ends its process must not end the tests, and well."""

    def refuse(main: Callable[[], object]) -> NoReturn:
        raise RuntimeError('call the main() of the tool, which ends nothing')

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process_end, 'run_main', refuse)
        yield


@pytest.fixture(scope='session')
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(autouse=True, scope='module')
def _scope_of_fixtures() -> Iterator[None]:
    """The same for fixtures that a whole module shares."""
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield


@pytest.fixture(autouse=True)
def _scope() -> Iterator[None]:
    """The scope of pretraining, whatever an earlier test's Runner left."""
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield


@pytest.fixture
def run_compare(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[list[str]], None]:
    """``run_compare(words)``: tools/compare.py in this process."""
    monkeypatch.chdir(root)

    def call(words: list[str]) -> None:
        monkeypatch.setattr(sys, 'argv', ['compare.py', *words])
        runpy.run_path(str(root / 'tools' / 'compare.py'))['main']()

    return call


@pytest.fixture
def unit_rows() -> Callable[..., Tensor]:
    """``unit_rows(n, d, seed)``: random L2-normalised rows, float64."""

    def make(n: int, d: int, seed: int = 0) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        rows = torch.randn(n, d, generator=generator, dtype=torch.float64)
        return normalize(rows, dim=1)

    return make
