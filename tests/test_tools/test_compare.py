"""The comparison, through its command line, on tiny images."""

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest

pytestmark = pytest.mark.integration

DETECTOR = """
_base_ = 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'
model = dict(
    backbone=dict(depth=18, base_channels=16, stem_channels=16),
    neck=dict(in_channels=[16, 32, 64, 128], out_channels=16),
    rpn_head=dict(in_channels=16, feat_channels=16),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=16),
        bbox_head=dict(in_channels=16, fc_out_channels=32),
    ),
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=50, max_per_img=20),
        rcnn=dict(sampler=dict(num=8)),
    ),
    test_cfg=dict(rpn=dict(nms_pre=50, max_per_img=20)),
)
_base_.train_dataloader.dataset.pipeline[2].scale = (64, 64)
_base_.val_dataloader.dataset.pipeline[1].scale = (64, 64)
_base_.test_dataloader.dataset.pipeline[1].scale = (64, 64)
train_dataloader = dict(num_workers=0, persistent_workers=False)
val_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=1)
"""


def picture(random):
    """Smooth noise, of which no two look alike."""
    noise = random.integers(0, 255, (8, 8, 3), dtype=np.uint8)
    return cv2.resize(noise, (64, 64), interpolation=cv2.INTER_CUBIC)


def labelled(folder, name, count, random):
    """Images with one box each, in COCO format."""
    images, annotations = [], []
    (folder / name).mkdir(parents=True)
    for index in range(count):
        cv2.imwrite(str(folder / name / f'{index}.png'), picture(random))
        images.append(
            {
                'id': index,
                'file_name': f'{index}.png',
                'height': 64,
                'width': 64,
            }
        )
        annotations.append(
            {
                'id': index,
                'image_id': index,
                'category_id': 1 + index % 2,
                'bbox': [8, 8, 40, 40],
                'area': 1600,
                'iscrowd': 0,
            }
        )
    categories = [{'id': 1, 'name': 'cat'}, {'id': 2, 'name': '<b>dog'}]
    content = {
        'images': images,
        'annotations': annotations,
        'categories': categories,
    }
    (folder / f'{name}.json').write_text(json.dumps(content))


@pytest.fixture
def words(root, tmp_path):
    """Arguments of a comparison of two trainings."""
    random = np.random.default_rng(0)
    labelled(tmp_path, 'train', 8, random)
    labelled(tmp_path, 'val', 4, random)
    (tmp_path / 'free').mkdir()
    for index in range(9):
        cv2.imwrite(str(tmp_path / 'free' / f'{index}.png'), picture(random))
    leak = cv2.imread(str(tmp_path / 'val' / '2.png'))[:, ::-1]
    cv2.imwrite(str(tmp_path / 'free' / 'leak.jpg'), leak)
    (tmp_path / 'detector.py').write_text(DETECTOR)
    recipe = root / 'configs/sce/sce_resnet18_1xb64-coslr-200e_folder.py'
    return [
        sys.executable,
        '-W',
        'ignore',
        str(root / 'tools' / 'compare.py'),
        str(tmp_path / 'out'),
        *('--images', str(tmp_path / 'free')),
        *('--train', str(tmp_path / 'train.json')),
        *('--train-images', str(tmp_path / 'train')),
        *('--val', str(tmp_path / 'val.json')),
        *('--val-images', str(tmp_path / 'val')),
        *('--detector', str(tmp_path / 'detector.py')),
        *('--pretraining', str(recipe)),
        *('--percent', '50', '--threads', '1'),
        '--pretraining-options',
        'model.backbone.base_channels=16',
        'model.backbone.stem_channels=16',
        'model.neck.in_channels=128',
        'model.queue.length=16',
        'train_dataloader.batch_size=4',
        'train_dataloader.num_workers=0',
        'train_dataloader.persistent_workers=False',
        'train_cfg.max_epochs=1',
        'param_scheduler.warmup_epochs=0',
    ]


def run(words):
    return subprocess.run(words, capture_output=True, text=True)


def test_from_two_folders_to_one_table(words, tmp_path):
    done = run(words)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    assert '1 of 10 unlabelled images are validation images' in done.stdout
    out = tmp_path / 'out'
    kept = (out / 'unlabelled.txt').read_text().split()
    assert len(kept) == 9
    assert not any('leak' in path for path in kept)
    # Both were trained on half of the labels, from what they say.
    results = json.loads((out / 'results.json').read_text())
    assert set(results) == {'random initialisation', 'SCE'}
    logs = {
        name: next((out / 'runs' / f'{name}_50pct_seed0').glob('*/*.log'))
        for name in ('random-initialisation', 'SCE')
    }
    arrived = 'transfer verified: 120/120 tensors'
    assert arrived in logs['SCE'].read_text()
    assert arrived not in logs['random-initialisation'].read_text()
    page = (out / 'report.html').read_text()
    assert '| SCE | 50 % |' in (out / 'results.md').read_text()
    assert '<b>dog' not in page
    assert '0 are the same file as a validation image, and 1 are' in page
    # What is done is not done again.
    again = run(words)
    assert again.returncode == 0
    assert 'tools/train.py' not in again.stdout


def test_what_cannot_be_compared_is_said_before_any_training(words, tmp_path):
    content = json.loads((tmp_path / 'val.json').read_text())
    content['categories'].reverse()
    (tmp_path / 'val.json').write_text(json.dumps(content))
    done = run(words)
    assert done.returncode == 1
    assert 'name different categories, or in another order' in done.stderr
    assert not (tmp_path / 'out' / 'runs').exists()
