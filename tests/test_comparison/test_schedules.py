"""Longer trainings of detectors: what becomes longer and what stays."""

import copy

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import PARAM_SCHEDULERS

from sce_mm.comparison.schedules import make_schedule
from sce_mm.config.errors import ConfigError
from sce_mm.config.overrides import override
from sce_mm.downstream import load_base


def lengthened(name, **arguments):
    """Config with the overrides of a longer schedule, and the schedule."""
    cfg = load_base(f'mmdet::{name}.py')[0]
    schedule = make_schedule(cfg, **arguments)
    override(cfg, schedule.overrides)
    return cfg, schedule


def test_milestones_move_and_the_warmup_stays():
    cfg, schedule = lengthened(
        'faster_rcnn/faster-rcnn_r50_fpn_1x_coco', batches=10, factor=2
    )
    warmup, steps = cfg.param_scheduler
    assert (warmup.begin, warmup.end) == (0, 500)
    assert (steps.end, steps.milestones) == (24, [16, 22])
    assert cfg.train_cfg.max_epochs == 24
    assert (schedule.iterations, schedule.epochs) == (240, 24)


def test_what_begins_after_the_warmup_and_ends_before_the_run():
    cfg, _ = lengthened('yolox/yolox_s_8xb8-300e_coco', batches=10, factor=2)
    _, cosine, constant = cfg.param_scheduler
    assert (cosine.begin, cosine.end, cosine.T_max) == (5, 570, 575)
    assert (constant.begin, constant.end) == (570, 600)


def test_few_images_get_as_many_iterations_and_no_schedule_gets_shorter():
    name = 'faster_rcnn/faster-rcnn_r50_fpn_1x_coco'
    cfg, schedule = lengthened(name, batches=7, at_least=1000)
    assert 1000 <= schedule.iterations < 1007
    assert cfg.train_cfg.max_epochs == schedule.epochs == 143
    _, schedule = lengthened(name, batches=100, at_least=1000)
    assert schedule.iterations == 1200
    assert schedule.overrides == ()


def test_iterations_are_counted_where_the_config_counts_them():
    cfg = Config({'train_cfg': {'by_epoch': False, 'max_iters': 90}})
    schedule = make_schedule(cfg, batches=30, factor=2)
    assert schedule == (180, 6, ('train_cfg.max_iters=180',))
    with pytest.raises(ConfigError, match='max_epochs or max_iters'):
        make_schedule(Config({'train_cfg': {}}), batches=3)


def rates(cfg, batches):
    """Learning rate of each iteration, in units of that of the config."""
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    schedulers = [
        PARAM_SCHEDULERS.build(
            dict(scheduler),
            default_args=dict(optimizer=optimizer, epoch_length=batches),
        )
        for scheduler in cfg.param_scheduler
    ]
    found = []
    for iteration in range(1, 1 + cfg.train_cfg.max_epochs * batches):
        found.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        for scheduler in schedulers:
            if not scheduler.by_epoch or iteration % batches == 0:
                scheduler.step()
    return np.array(found)


LINEAR = dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=500)
DROPS = dict(type='MultiStepLR', by_epoch=False, milestones=[700, 1100])


@pytest.mark.parametrize(
    ('name', 'schedulers', 'batches', 'warmup'),
    [
        ('faster_rcnn/faster-rcnn_r50_fpn_1x_coco', None, 100, 500),
        ('faster_rcnn/faster-rcnn_r50_fpn_1x_coco', [LINEAR, DROPS], 100, 500),
        ('yolox/yolox_s_8xb8-300e_coco', None, 10, 50),
    ],
)
def test_the_rate_follows_the_share_of_the_training(
    name, schedulers, batches, warmup
):
    """Of a schedule in epochs or iterations, on a part of the labels."""
    before = load_base(f'mmdet::{name}.py')[0]
    if schedulers:
        before.param_scheduler = schedulers
    with_all, part = rates(before, batches), batches // 10
    length = len(with_all)

    def on_part(**arguments):
        cfg = copy.deepcopy(before)
        schedule = make_schedule(cfg, part, **arguments, all_batches=batches)
        override(cfg, schedule.overrides)
        return rates(cfg, part)

    # As many iterations as with all labels, then half of them.
    equal = dict(rtol=0, atol=1e-6)
    np.testing.assert_allclose(on_part(at_least=length), with_all, **equal)
    half = on_part(at_least=length // 2)
    np.testing.assert_allclose(half, with_all[::2], rtol=0, atol=0.05)
    # Twice as long, with a warm-up of as many iterations.
    longer = on_part(at_least=length, factor=2)
    assert len(longer) == 2 * length
    np.testing.assert_allclose(longer[:warmup], with_all[:warmup], **equal)
    assert longer[int(1.9 * length)] == pytest.approx(with_all[-1], abs=0.01)
    # A part whose training has no more iterations is as the config says.
    assert make_schedule(before, part, all_batches=batches).overrides == ()
