"""Two processes give what one gives."""

import itertools
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from evaluation_toys import build_model, run_tool
from evaluation_worker import (
    SIZES,
    WORLD_SIZE,
    evaluate,
    evaluate_svm,
    squares,
    work,
)
from mmengine.config import Config
from mmpretrain.registry import MODELS
from torch import multiprocessing

from sce_mm.utils.errors import UserError

pytestmark = pytest.mark.integration

COUNT = itertools.count()


def test_features_knn_and_svm_equal_those_of_one_process(tmp_path: Path):
    multiprocessing.spawn(work, (str(tmp_path),), WORLD_SIZE)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    expected = evaluate(build_model())
    maps = evaluate_svm(build_model())
    torch.set_num_threads(threads)
    for rank in range(WORLD_SIZE):
        got = torch.load(tmp_path / f'rank{rank}.pt', weights_only=True)
        for case in SIZES:
            features, labels, accuracies = expected[case]
            assert got[case][0].equal(features), case
            assert got[case][1].equal(labels), case
            assert got[case][2] == accuracies, case
        assert got['svm'] == maps
        for count, values in enumerate(got['squares']):
            assert values == [x * x for x in range(count)]
    assert squares(3) == [0, 1, 4]


@pytest.fixture(scope='module')
def classifier(root: Path, tmp_path_factory) -> tuple[Path, Path]:
    """Config of a narrow linear classifier on seven images, and weights."""
    folder = tmp_path_factory.mktemp('classifier')
    random = np.random.default_rng(0)
    for index in range(7):
        path = folder / 'images' / str(index % 2) / f'{index}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (64, 64, 3))
        cv2.imwrite(str(path), pixels.astype(np.uint8))
    base = root / 'configs' / 'sce' / 'benchmarks'
    base /= 'resnet18_sce-pre_1xb256-linear-steplr-100e_tinyimagenet.py'
    config = folder / 'config.py'
    config.write_text(f"""
_base_ = '{base}'
model = dict(
    backbone=dict(base_channels=4, stem_channels=4),
    head=dict(in_channels=32, num_classes=2, init_cfg=dict(std=30.)))
test_dataloader = dict(
    batch_size=2, num_workers=0, persistent_workers=False,
    dataset=dict(data_root='{folder / 'images'}', data_prefix='', ann_file=''))
val_evaluator = dict(topk=1)
test_evaluator = dict(topk=1)
""")
    torch.manual_seed(1)
    model = MODELS.build(Config.fromfile(config).model)
    model.init_weights()
    checkpoint = folder / 'epoch_100.pth'
    torch.save({'state_dict': model.state_dict()}, checkpoint)
    return config, checkpoint


def run_test(*words: object) -> None:
    """Main of tools/test.py, in this process."""
    # Runs that begin in the same second would share a logger.
    name = f'experiment_name=classifier-{next(COUNT)}'
    run_tool('test', *words, '--cfg-options', name)


def test_dist_test_of_a_classifier_counts_every_image_once(
    root, classifier, tmp_path
):
    with socket.socket() as server:
        server.bind(('127.0.0.1', 0))
        port = server.getsockname()[1]
    one, two = tmp_path / 'one.json', tmp_path / 'two.json'
    run_test(*classifier, '--out', one, '--work-dir', tmp_path / 'one')

    # Four images for each of two processes would be eight.
    done = subprocess.run(
        [
            *(root / 'tools' / 'dist_test.sh', *classifier, '2'),
            *('--out', two, '--work-dir', tmp_path / 'two'),
        ],
        capture_output=True,
        text=True,
        env={
            **os.environ,
            'PYTHON': sys.executable,
            'PORT': str(port),
            'OMP_NUM_THREADS': '1',
            'CUDA_VISIBLE_DEVICES': '',
        },
    )

    assert done.returncode == 0, done.stderr[-2000:]
    results = [json.loads(path.read_text()) for path in (one, two)]
    assert results[0] == results[1]
    hits = results[0]['accuracy/top1'] * 7 / 100
    assert hits == pytest.approx(round(hits), abs=1e-4)
    assert 0 < round(hits) < 7


def test_classifier_of_other_classes_or_weights_is_not_measured(
    classifier, tmp_path
):
    config, checkpoint = classifier
    other, wrong = tmp_path / 'other.pth', tmp_path / 'wrong.pth'
    content = torch.load(checkpoint, weights_only=True)
    meta = {'dataset_meta': {'classes': ['first', 'second']}}
    torch.save(content | {'meta': meta}, other)
    del content['state_dict']['head.fc.bias']
    torch.save(content, wrong)

    with pytest.raises(ValueError, match=r'classes first, second, .* has 0'):
        run_test(config, other, '--work-dir', tmp_path)
    with pytest.raises(UserError, match=r'head\.fc\.bias'):
        run_test(config, wrong, '--work-dir', tmp_path)
