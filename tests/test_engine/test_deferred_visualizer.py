"""A visualizer without a figure draws what mmpretrain's draws."""

import subprocess
import sys

import numpy as np
import pytest
from mmpretrain.visualization import UniversalVisualizer

from sce_mm.engine import DeferredVisualizer


def draw(kind, name, **options):
    visualizer = kind(name, **options)
    visualizer.set_image(np.full((40, 60, 3), 200, np.uint8))
    visualizer.draw_bboxes(np.array([[5, 5, 30, 20]]))
    visualizer.draw_texts('cell', np.array([10.0, 30.0]))
    return visualizer.get_image()


@pytest.mark.parametrize('figure', [{}, {'frameon': True, 'dpi': 50}])
def test_it_draws_the_same(figure):
    options = {'fig_save_cfg': figure} if figure else {}
    expected = draw(UniversalVisualizer, f'upstream{figure}', **options)
    found = draw(DeferredVisualizer, f'deferred{figure}', **options)
    assert np.array_equal(found, expected)
    assert len(np.unique(found)) > 2


def test_numbers_are_written_without_matplotlib(tmp_path):
    script = """
import sys
from sce_mm.engine import DeferredVisualizer
backends = [dict(type='LocalVisBackend')]
made = DeferredVisualizer('x', vis_backends=backends, save_dir=sys.argv[1])
made.add_scalars({'loss': 1.5}, step=3)
print([name for name in sys.modules if name.startswith('matplotlib')])
"""
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', script, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == '[]'
    (log,) = tmp_path.rglob('scalars.json')
    assert '"loss": 1.5' in log.read_text()
