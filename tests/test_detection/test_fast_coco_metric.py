"""The faster COCO evaluator gives the numbers of pycocotools."""

import json

import numpy as np
import pytest
import torch
from mmdet.evaluation.metrics import CocoMetric, coco_metric
from mmdet.registry import METRICS
from pycocotools.cocoeval import COCOeval

from sce_mm.detection import FastCocoMetric, fast_coco_metric

SIDE, CLASSES, IMAGES = 128, ('cup', 'jar', 'lid'), 16


def rectangle(draw):
    """Left, top, width and height; small, medium and large by COCO."""
    size = draw.choice([8, 20, 60, 110])
    width, height = draw.integers(size // 2, size + 1, 2)
    left, top = draw.integers(0, SIDE - np.array([width, height]) + 1)
    return [int(x) for x in (left, top, width, height)]


def runs_of(box):
    """A rectangle as the uncompressed run lengths of a crowd."""
    left, top, width, height = box
    mask = np.zeros((SIDE, SIDE), bool)
    mask[top : top + height, left : left + width] = True
    flat = np.concatenate([[False], mask.flatten('F')])
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    counts = np.diff(np.concatenate([[0], changes, [SIDE * SIDE]]))
    return {'counts': counts.tolist(), 'size': [SIDE, SIDE]}


@pytest.fixture(scope='module')
def truth(tmp_path_factory):
    """Labels of 16 images; two have none, some boxes are crowds."""
    draw = np.random.default_rng(0)
    annotations = []
    for image in range(IMAGES - 2):
        for _ in range(draw.integers(1, 9)):
            left, top, width, height = box = rectangle(draw)
            crowd = draw.random() < 0.2
            corners = [left, top, left + width, top]
            corners += [left + width, top + height, left, top + height]
            annotations.append(
                {
                    'id': len(annotations) + 1,
                    'image_id': image,
                    'category_id': int(draw.integers(1, 4)),
                    'bbox': box,
                    'area': width * height,
                    'iscrowd': int(crowd),
                    'segmentation': runs_of(box) if crowd else [corners],
                }
            )
    path = tmp_path_factory.mktemp('truth') / 'truth.json'
    content = {
        'info': {},
        'images': [
            {'id': i, 'file_name': f'{i}.png', 'width': SIDE, 'height': SIDE}
            for i in range(IMAGES)
        ],
        'categories': [
            {'id': i + 1, 'name': name} for i, name in enumerate(CLASSES)
        ],
        'annotations': annotations,
    }
    path.write_text(json.dumps(content))
    return path


def detections(truth):
    """Shifted true boxes and random ones; none on some images."""
    draw = np.random.default_rng(1)
    annotations = json.loads(truth.read_text())['annotations']
    for image in range(IMAGES):
        boxes, labels = [], []
        for each in annotations:
            if each['image_id'] == image:
                shifts = draw.normal(0, 3, (3, 4)).round()
                boxes += list(np.array(each['bbox']) + shifts)
                labels += 3 * [each['category_id'] - 1]
        # More than the hundred that count on one of them.
        extra = 0 if image % 5 == 3 else 400 if image == 2 else 10
        boxes += [rectangle(draw) for _ in range(extra)]
        labels += draw.integers(0, 3, extra).tolist()
        if image in (4, IMAGES - 1):
            boxes, labels = [], []
        left, top, width, height = np.array(boxes).reshape(-1, 4).T
        width, height = np.maximum(width, 2), np.maximum(height, 2)
        corners = np.stack([left, top, left + width, top + height], axis=1)
        yield image, corners, np.array(labels, int), draw


def samples(truth):
    for image, corners, labels, draw in detections(truth):
        # Equal scores: both must break ties alike.
        scores = draw.integers(1, 30, len(labels)) / 30
        masks = np.zeros((len(labels), SIDE, SIDE), bool)
        for mask, box in zip(masks, corners.clip(0, SIDE), strict=True):
            left, top, right, bottom = box.astype(int)
            mask[top:bottom, left:right] = True
        yield {
            'img_id': image,
            'ori_shape': (SIDE, SIDE),
            'pred_instances': {
                'bboxes': torch.from_numpy(corners),
                'scores': torch.from_numpy(scores),
                'labels': torch.from_numpy(labels),
                'masks': torch.from_numpy(masks),
            },
        }


def recorded(evaluator, monkeypatch, module, name):
    """Let ``module.name`` be the evaluator, and note its instances."""
    made = []

    def make(*args):
        made.append(evaluator(*args))
        return made[-1]

    monkeypatch.setattr(module, name, make)
    return made


def test_every_number_is_that_of_pycocotools(truth, monkeypatch):
    slow = recorded(COCOeval, monkeypatch, coco_metric, 'COCOeval')
    fast = recorded(
        fast_coco_metric.FastEvaluator,
        monkeypatch,
        fast_coco_metric,
        'FastEvaluator',
    )
    found = []
    for kind in ('CocoMetric', 'FastCocoMetric'):
        metric = METRICS.build(
            dict(
                type=f'mmdet.{kind}',
                ann_file=str(truth),
                metric=['bbox', 'segm', 'proposal'],
                classwise=True,
            )
        )
        metric.dataset_meta = {'classes': CLASSES}
        for sample in samples(truth):
            metric.process({}, [sample])
        found.append(metric.evaluate(IMAGES))
    assert found[0] == found[1]
    assert 0.03 < found[0]['coco/bbox_mAP'] < 0.9
    assert (len(slow), len(fast)) == (3, 3)
    for theirs, ours in zip(slow, fast, strict=True):
        assert type(ours) is not type(theirs)
        np.testing.assert_allclose(
            ours.stats[:12], theirs.stats, rtol=0, atol=1e-12
        )
        for name in ('precision', 'recall'):
            np.testing.assert_allclose(
                ours.eval[name].reshape(theirs.eval[name].shape),
                theirs.eval[name],
                rtol=0,
                atol=1e-12,
            )


def test_mmdets_own_metric_is_left_as_it_was(truth, monkeypatch):
    def fail(self, results):
        assert coco_metric.COCOeval is fast_coco_metric.FastEvaluator
        raise KeyError(results)

    before = coco_metric.COCOeval
    metric = FastCocoMetric(ann_file=str(truth))
    monkeypatch.setattr(CocoMetric, 'compute_metrics', fail)
    with pytest.raises(KeyError):
        metric.compute_metrics([])
    assert coco_metric.COCOeval is before


def test_what_is_missing_is_said_at_construction(truth, monkeypatch):
    with pytest.raises(ValueError, match='leave use_mp_eval out'):
        FastCocoMetric(ann_file=str(truth), use_mp_eval=True)
    monkeypatch.setattr(fast_coco_metric, 'COCOeval_faster', object)
    with pytest.raises(ImportError, match='pip install faster-coco-eval'):
        FastCocoMetric(ann_file=str(truth))
