"""The faster COCO evaluator gives the numbers of pycocotools."""

import json
import re

import numpy as np
import pytest
import torch
from mmdet.evaluation.metrics import CocoMetric, coco_metric
from mmdet.registry import METRICS
from pycocotools import mask
from pycocotools.cocoeval import COCOeval

from sce_mm.detection import FastCocoMetric, fast_coco_metric

SIDE, CLASSES, IMAGES = 128, ('cup', 'jar', 'lid'), 16


def rectangles(draw, count):
    """``[n, 4]``, left, top, width, height; of all three sizes of COCO."""
    sizes = draw.choice([8, 20, 60, 110], (count, 2))
    sizes = draw.integers(sizes // 2, sizes + 1)
    return np.hstack([draw.integers(0, SIDE - sizes + 1), sizes])


def drawn(boxes):
    """Masks ``[n, SIDE, SIDE]`` of boxes, which are cut at the border."""
    masks = np.zeros((len(boxes), SIDE, SIDE), np.uint8)
    for each, (left, top, width, height) in zip(masks, boxes, strict=True):
        bottom, right = max(top + height, 0), max(left + width, 0)
        each[max(top, 0) : bottom, max(left, 0) : right] = 1
    return masks


@pytest.fixture(scope='module')
def truth(tmp_path_factory):
    """Labels of 16 images; two have none, some boxes are crowds."""
    draw = np.random.default_rng(0)
    annotations = []
    for image in range(IMAGES - 2):
        boxes = rectangles(draw, draw.integers(1, 9))
        for box, region in zip(boxes.tolist(), drawn(boxes), strict=True):
            runs = mask.encode(np.asfortranarray(region))
            annotations.append(
                {
                    'id': len(annotations) + 1,
                    'image_id': image,
                    'category_id': int(draw.integers(1, 4)),
                    'bbox': box,
                    'area': box[2] * box[3],
                    'iscrowd': int(draw.random() < 0.2),
                    'segmentation': runs | {'counts': runs['counts'].decode()},
                }
            )
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
    path = tmp_path_factory.mktemp('truth') / 'truth.json'
    path.write_text(json.dumps(content))
    return path


def samples(truth):
    """Shifted true boxes and random ones; none on some images."""
    draw = np.random.default_rng(1)
    annotations = json.loads(truth.read_text())['annotations']
    for image in range(IMAGES):
        true = [a for a in annotations if a['image_id'] == image] * 3
        # More than the hundred that count on one of them.
        extra = 400 if image == 2 else 10
        boxes = rectangles(draw, extra)
        labels = draw.integers(0, 3, extra)
        if true:
            moved = np.array([a['bbox'] for a in true])
            moved += draw.normal(0, 3, moved.shape).round().astype(int)
            boxes = np.vstack([boxes, moved])
            labels = np.r_[labels, [a['category_id'] - 1 for a in true]]
        if image in (4, IMAGES - 1):
            boxes, labels = boxes[:0], labels[:0]
        boxes[:, 2:] = boxes[:, 2:].clip(2)
        corners = np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]])
        # Equal scores: both must break ties alike.
        scores = draw.integers(1, 30, len(labels)) / 30
        yield {
            'img_id': image,
            'ori_shape': (SIDE, SIDE),
            'pred_instances': {
                'bboxes': torch.from_numpy(corners.astype(float)),
                'scores': torch.from_numpy(scores),
                'labels': torch.from_numpy(labels),
                'masks': torch.from_numpy(drawn(boxes).astype(bool)),
            },
        }


def test_every_number_is_that_of_pycocotools(truth, monkeypatch, capfd):
    made = {'slow': [], 'fast': []}

    def recorded(name, evaluator):
        def make(*args):
            made[name].append(evaluator(*args))
            return made[name][-1]

        return make

    fast = fast_coco_metric.FastEvaluator
    monkeypatch.setattr(coco_metric, 'COCOeval', recorded('slow', COCOeval))
    monkeypatch.setattr(
        fast_coco_metric, 'FastEvaluator', recorded('fast', fast)
    )
    found = []
    for kind in ('CocoMetric', 'FastCocoMetric'):
        metric = METRICS.build(
            {
                'type': f'mmdet.{kind}',
                'ann_file': str(truth),
                'metric': ['bbox', 'segm', 'proposal'],
                'classwise': True,
            }
        )
        metric.dataset_meta = {'classes': CLASSES}
        for sample in samples(truth):
            metric.process({}, [sample])
        found.append(metric.evaluate(IMAGES))
    # Tables are printed, the steps to them are not.
    printed = capfd.readouterr().out
    assert ' Average Precision  (AP) @' in printed
    assert not re.search('index|done|loading', printed, re.IGNORECASE)
    assert found[0] == found[1]
    assert 0.03 < found[0]['coco/bbox_mAP'] < 0.9
    assert [len(evaluators) for evaluators in made.values()] == [3, 3]
    for theirs, ours in zip(*made.values(), strict=True):
        np.testing.assert_allclose(ours.stats[:12], theirs.stats, atol=1e-12)
        for name in ('precision', 'recall'):
            expected = theirs.eval[name]
            np.testing.assert_allclose(
                ours.eval[name].reshape(expected.shape), expected, atol=1e-12
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
