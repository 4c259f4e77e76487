"""A pretraining begins without what it does not need."""

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.integration

# Packages that only detection, segmentation, evaluations or figures need.
UNNEEDED = (
    *('mmdet', 'mmseg', 'pandas', 'sklearn', 'transformers', 'timm'),
    *('matplotlib', 'scipy', 'onnx', 'safetensors', 'pycocotools'),
)
SCRIPT = """
import sys, start
start.begin(sys.argv[1:], lambda: print('begins:', *sys.modules))
"""


def test_pretraining_imports_no_package_of_other_work(root, tmp_path):
    random = np.random.default_rng(0)
    (tmp_path / 'images').mkdir()
    for number in range(32):
        noise = random.integers(0, 255, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / 'images' / f'{number}.png')
    recipe = 'sce_resnet18_1xb64-coslr-200e_folder'
    paths = f'{root / "tools" / "dev" / "speed"}{os.pathsep}{root}'
    done = subprocess.run(
        [
            *(sys.executable, '-W', 'ignore', '-c', SCRIPT, 'train', recipe),
            *('--data', 'images', '--work-dir', 'work', '--epochs', '1'),
            *('--batch-size', '8', '--cfg-options', 'model.queue.length=16'),
        ],
        cwd=tmp_path,
        env={**os.environ, 'PYTHONPATH': paths},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    _, _, modules = done.stdout.rpartition('begins:')
    imported = {name.partition('.')[0] for name in modules.split()}
    assert 'mmpretrain' in imported
    assert not imported.intersection(UNNEEDED)
