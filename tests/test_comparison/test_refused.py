"""What a comparison leaves of its folder when it stops before it trains."""

import json

import pytest

from sce_mm.comparison import Settings
from sce_mm.comparison.comparison import Comparison
from sce_mm.datasets.labels.subsets import choose_part
from sce_mm.detection.comparison import Detection
from sce_mm.utils.errors import UserError


@pytest.mark.parametrize('before', [True, False])
@pytest.mark.parametrize(
    ('step', 'error', 'kept'),
    [
        ('_prepare', UserError, False),
        ('_prepare', KeyError, False),
        ('_prepare', KeyboardInterrupt, True),
        ('_look_at_images', UserError, False),
        ('_look_at_images', KeyError, True),
    ],
)
def test_only_a_folder_that_a_refused_call_has_made_is_removed(
    tmp_path, monkeypatch, step, error, kept, before
):
    def fail(self):
        raise error('x')

    for name in ('_prepare', '_look_at_images'):
        monkeypatch.setattr(Comparison, name, lambda self: {})
    monkeypatch.setattr(Comparison, step, fail)
    comparison = object.__new__(Comparison)
    comparison.out = tmp_path / 'out'
    if before:
        comparison.out.mkdir()
    with pytest.raises(error):
        comparison.run()
    assert comparison.out.exists() == (kept or before)


def test_a_part_without_a_box_is_refused(tmp_path):
    images = [
        {'id': n, 'file_name': f'{n}.png', 'width': 9, 'height': 9}
        for n in range(10)
    ]
    box = {'id': 1, 'image_id': 3, 'category_id': 1, 'bbox': [0, 0, 5, 5]}
    box |= {'area': 25, 'iscrowd': 0}
    folders = dict.fromkeys(('train_images', 'val', 'val_images'), tmp_path)
    task = Detection(
        Settings(
            out=tmp_path, images=[], pretraining=tmp_path, predictor='',
            train=tmp_path / 'train.json', **folders,
        )
    )  # fmt: skip
    task.train = {'images': images, 'annotations': [box], 'categories': []}
    parts = [choose_part(range(10), 50, seed) for seed in range(9)]
    assert {3 in part for part in parts} == {True, False}
    for seed, part in enumerate(parts):
        if 3 in part:
            labels = json.loads(task.labels(50, seed).read_text())
            assert labels['annotations'] == [box]
            continue
        with pytest.raises(UserError, match=rf'--percent 50: .* {seed}, 5 of'):
            task.labels(50, seed)
