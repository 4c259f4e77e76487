"""A pretraining begins without what it does not need."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.integration

# Packages that only detection, segmentation or evaluations need.
UNNEEDED = ('mmdet', 'mmseg', 'pandas', 'sklearn', 'transformers', 'timm')


def test_pretraining_imports_no_package_of_other_work(root):
    script = (
        "import sys; sys.argv = ['sce']; import sce_mm; sce_mm.register(); "
        'import sce_mm.cli.runner, sce_mm.cli.hand_over; '
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', script],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    imported = done.stdout.split()
    assert 'mmpretrain' in imported
    assert not set(UNNEEDED).intersection(imported)
