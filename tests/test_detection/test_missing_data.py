"""A detector is told at once which of its files are not there."""

import pytest
from mmengine.config import Config

from sce_mm.config_check import ConfigError
from sce_mm.config_sense import check_sense


def test_detectors_miss_all_their_files_at_once(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipes = root / 'configs/sce/benchmarks/mmdet'
    cfg = Config.fromfile(recipes / 'mask-rcnn_r50-sce-pre_fpn_ms-1x_coco.py')
    cfg.work_dir = str(tmp_path / 'work')
    with pytest.raises(ConfigError) as error:
        check_sense(cfg)
    for part in ('train_dataloader', 'val_dataloader'):
        assert f'{part}.dataset.data_root: no folder at' in str(error.value)
    assert 'test_dataloader' not in str(error.value)
    annotations = tmp_path / 'data/coco/annotations'
    annotations.mkdir(parents=True)
    (annotations / 'instances_train2017.json').touch()
    (annotations.parent / 'train2017').mkdir()
    with pytest.raises(ConfigError) as error:
        check_sense(cfg)
    assert 'train_dataloader' not in str(error.value)
    for key in ('dataset.ann_file', 'dataset.data_prefix.img'):
        assert f'val_dataloader.{key}: there is no' in str(error.value)
    cfg.val_cfg = None
    check_sense(cfg)
