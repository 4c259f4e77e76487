"""Longer trainings of detectors: what is stretched and what stays."""

import pytest
from mmengine.config import Config

from sce_mm.config.errors import ConfigError
from sce_mm.config.reading import override
from sce_mm.detection.comparison.schedules import make_schedule
from sce_mm.downstream import load_source


def stretched(name, **arguments):
    """Config with the overrides of a longer schedule, and the schedule."""
    cfg = load_source(f'mmdet::{name}.py')[0]
    schedule = make_schedule(cfg, **arguments)
    override(cfg, schedule.overrides)
    return cfg, schedule


def test_milestones_move_and_the_warmup_stays():
    cfg, schedule = stretched(
        'faster_rcnn/faster-rcnn_r50_fpn_1x_coco', batches=10, factor=2
    )
    warmup, steps = cfg.param_scheduler
    assert (warmup.begin, warmup.end) == (0, 500)
    assert (steps.end, steps.milestones) == (24, [16, 22])
    assert cfg.train_cfg.max_epochs == 24
    assert (schedule.iterations, schedule.epochs) == (240, 24)


def test_what_begins_after_the_warmup_and_ends_before_the_run():
    cfg, _ = stretched('yolox/yolox_s_8xb8-300e_coco', batches=10, factor=2)
    _, cosine, constant = cfg.param_scheduler
    assert (cosine.begin, cosine.end, cosine.T_max) == (5, 570, 575)
    assert (constant.begin, constant.end) == (570, 600)


def test_few_images_get_as_many_iterations_and_no_schedule_gets_shorter():
    name = 'faster_rcnn/faster-rcnn_r50_fpn_1x_coco'
    cfg, schedule = stretched(name, batches=7, at_least=1000)
    assert 1000 <= schedule.iterations < 1007
    assert cfg.train_cfg.max_epochs == schedule.epochs == 143
    _, schedule = stretched(name, batches=100, at_least=1000)
    assert schedule.iterations == 1200
    assert schedule.overrides == ()


def test_iterations_are_counted_where_the_config_counts_them():
    cfg = Config({'train_cfg': {'by_epoch': False, 'max_iters': 90}})
    schedule = make_schedule(cfg, batches=30, factor=2)
    assert schedule == (180, 6, ('train_cfg.max_iters=180',))
    with pytest.raises(ConfigError, match='max_epochs or max_iters'):
        make_schedule(Config({'train_cfg': {}}), batches=3)
