"""The option that names the backbone file of a detector."""

import pytest
from mmengine.config import Config

from sce_mm.cli.config_edits import set_pretrained


def detector(**roi_head):
    loads = {'type': 'Pretrained', 'checkpoint': 'backbone.pth'}
    return Config(
        {
            'model': {
                'backbone': {'type': 'ResNet', 'init_cfg': loads},
                'roi_head': roi_head,
            }
        }
    )


def test_backbone_and_shared_head_take_the_same_file(tmp_path):
    path = tmp_path / 'mine.pth'
    path.touch()
    init_cfg = {'type': 'Pretrained', 'checkpoint': 'other.pth'}
    cfg = detector(shared_head={'type': 'ResLayer', 'init_cfg': init_cfg})
    set_pretrained(cfg, str(path))
    assert cfg.model.backbone.init_cfg.checkpoint == str(path)
    assert cfg.model.roi_head.shared_head.init_cfg.checkpoint == str(path)
    # A detector without such a head does not get one.
    plain = detector()
    set_pretrained(plain, str(path))
    assert 'shared_head' not in plain.model.roi_head


def test_classifier_takes_it_through_its_hook(root, tmp_path):
    path = tmp_path / 'epoch_200.pth'
    path.touch()
    name = 'resnet50_sce-pre_8xb128-linear-coslr-90e_in1k.py'
    cfg = Config.fromfile(root / 'configs' / 'sce' / 'benchmarks' / name)
    set_pretrained(cfg, str(path))
    assert cfg.default_hooks.pretrained_backbone.checkpoint == str(path)
    assert 'init_cfg' not in cfg.model.backbone


def test_what_loads_nothing_is_refused(tmp_path):
    path = tmp_path / 'mine.pth'
    path.touch()
    cfg = detector(shared_head={'type': 'ResLayer'})
    with pytest.raises(ValueError, match='ResLayer of this one has init_cfg='):
        set_pretrained(cfg, str(path))
    with pytest.raises(FileNotFoundError, match='no backbone file at'):
        set_pretrained(cfg, str(tmp_path / 'none.pth'))
