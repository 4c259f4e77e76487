"""Missing data of a detector and wrong names are reported at once."""

import json

import pytest
from mmengine.config import Config

from sce_mm.config.check import check_config
from sce_mm.config.errors import ConfigError
from sce_mm.detection.adapt.classes import class_problems


def test_detectors_miss_all_their_files_at_once(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipes = root / 'configs/sce/benchmarks/mmdet'
    cfg = Config.fromfile(recipes / 'mask-rcnn_r50-sce-pre_fpn_ms-1x_coco.py')
    cfg.work_dir = str(tmp_path / 'work')
    with pytest.raises(ConfigError) as error:
        check_config(cfg)
    for part in ('train_dataloader', 'val_dataloader'):
        assert f'{part}.dataset.data_root: no folder at' in str(error.value)
    assert 'test_dataloader' not in str(error.value)
    annotations = tmp_path / 'data/coco/annotations'
    annotations.mkdir(parents=True)
    (annotations / 'instances_train2017.json').touch()
    (annotations.parent / 'train2017').mkdir()
    with pytest.raises(ConfigError) as error:
        check_config(cfg)
    assert 'train_dataloader' not in str(error.value)
    for key in ('dataset.ann_file', 'dataset.data_prefix.img'):
        assert f'val_dataloader.{key}: there is no' in str(error.value)
    cfg.val_cfg = None
    check_config(cfg)


@pytest.fixture
def detector(scenes):
    """A RetinaNet that trains and evaluates on the scenes, cup and jar."""
    return Config.fromstring(
        f"""
_base_ = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'
data = dict(
    type='CocoDataset', data_root={str(scenes)!r}, ann_file='train.json',
    metainfo=dict(classes=('cup', 'jar')), data_prefix=dict(img=''))
_base_.train_dataloader.dataset = dict(
    type='RepeatDataset', times=2, dataset=data)
_base_.val_dataloader.dataset = data
_base_.val_evaluator.ann_file = {str(scenes / 'train.json')!r}
model = dict(bbox_head=dict(num_classes=2))
work_dir = {str(scenes / 'work')!r}
""",
        '.py',
    )


TRAIN = 'train_dataloader.dataset.dataset'


@pytest.mark.parametrize(
    ('changes', 'where', 'said'),
    [
        # Of COCO, as nothing is said.
        ({f'{TRAIN}.metainfo': None}, TRAIN, ['80', "'person'", "'jar'"]),
        (
            {f'{TRAIN}.metainfo.classes': ('jar', 'cup')},
            TRAIN,
            ["'jar', 'cup'", "'cup', 'jar'", 'order'],
        ),
        (
            {f'{TRAIN}.metainfo.classes': ('cup', 'jar', 'lid')},
            TRAIN,
            ["'lid' not in", 'train.json'],
        ),
        (
            {'val_dataloader.dataset.metainfo.classes': ('cup', 'mug')},
            'val_dataloader.dataset',
            ["'mug' not in", 'val_evaluator: '],
        ),
        (
            {'model.bbox_head.num_classes': 1},
            'model.bbox_head.num_classes',
            [TRAIN, '2 classes', "'cup', 'jar'"],
        ),
    ],
)
def test_classes_that_are_not_those_of_the_labels(
    detector, changes, where, said
):
    check_config(detector, also=[class_problems])
    detector.merge_from_dict(changes)
    with pytest.raises(ConfigError) as error:
        check_config(detector, also=[class_problems])
    for words in [where, *said]:
        assert words in str(error.value)
    # However many data sets it is true of.
    assert str(error.value).count('Set metainfo') <= 1


def test_classes_that_are_read_from_a_part_of_the_labels(
    detector, scenes, tmp_path
):
    """The other objects are left out, which is a choice."""
    names = tmp_path / 'names.txt'
    names.write_text('jar\n')
    detector.merge_from_dict({f'{TRAIN}.metainfo.classes': str(names)})
    check_config(detector, also=[class_problems])
    # Nested names of the same key are not those of the file.
    content = json.loads((scenes / 'train.json').read_text())
    content['info'] = {'categories': [1, 2]}
    content['categories'].reverse()
    (tmp_path / 'other.json').write_text(
        json.dumps({'info': content.pop('info'), **content})
    )
    detector.val_evaluator.ann_file = str(tmp_path / 'other.json')
    with pytest.raises(ConfigError, match=r'val_evaluator: .*order'):
        check_config(detector, also=[class_problems])
