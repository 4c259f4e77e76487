"""Configs of detectors load, build, and their names say the truth."""

import re
from pathlib import Path

import pytest
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from sce_mm.config_check import check_config

pytestmark = pytest.mark.integration

CONFIGS = Path(__file__).parents[2] / 'configs'
FILES = sorted(CONFIGS.rglob('mask-rcnn*.py'))
FILES = [f for f in FILES if '_base_' not in f.parts]
PUBLISHED = [f for f in FILES if 'benchmarks' in f.parts]


def test_nothing_is_left_out():
    assert len(FILES) >= 4
    assert len({f.name for f in FILES}) == len(FILES)


@pytest.mark.parametrize('path', FILES, ids=lambda p: p.stem)
def test_loads_builds_and_freezes_nothing(path):
    assert path.read_text().startswith('"""')
    cfg = Config.fromfile(path)
    check_config(cfg)
    init_default_scope('mmdet')
    MODELS.build(cfg.model)
    assert cfg.model.backbone.frozen_stages == -1
    assert not cfg.model.backbone.norm_eval


@pytest.mark.parametrize('path', PUBLISHED, ids=lambda p: p.stem)
def test_name_is_a_contract(path):
    cfg = Config.fromfile(path)
    epochs = 12 * int(re.search(r'-(\d+)x_', path.stem)[1])
    assert cfg.train_cfg.max_epochs == epochs
    milestones = [
        m for s in cfg.param_scheduler for m in s.get('milestones', [])
    ]
    assert epochs - 4 < max(milestones) < epochs
