"""What the demo shows, on other seeds: ten minutes each (`make evidence`)."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.evidence


@pytest.mark.parametrize('seed', [1, 2, 3])
def test_pretraining_helps_on_every_seed(root, tmp_path, seed):
    done = subprocess.run(
        [
            sys.executable,
            str(root / 'tools' / 'demo' / 'run.py'),
            '--work-dir',
            str(tmp_path),
            '--seed',
            str(seed),
        ]
    )
    assert done.returncode == 0
    rows = json.loads((tmp_path / 'knn.json').read_text())
    accuracy = {
        row['network'].startswith('random'): row['knn_top1_k20']
        for row in rows
    }
    assert accuracy[False] > accuracy[True] + 10
    mask_ap = {}
    for name in ('sce', 'scratch'):
        folder = tmp_path / f'detector_{name}'
        (log,) = folder.glob('*/vis_data/scalars.json')
        entries = [json.loads(line) for line in log.read_text().splitlines()]
        values = [e['coco/segm_mAP'] for e in entries if 'coco/segm_mAP' in e]
        mask_ap[name] = values[-1]
    print(seed, accuracy, mask_ap)
    assert mask_ap['sce'] > mask_ap['scratch']
