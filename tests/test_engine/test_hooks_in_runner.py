"""Once per optimiser step, closed forms, and refusals before training."""

import math

import pytest
import torch
from tiny_runner import build_runner

from sce_mm.utils.errors import UserError

pytestmark = pytest.mark.integration

COSINE = {'kind': 'cosine', 'start': 0.1, 'end': 0.0}


def test_accumulation_equals_the_large_batch(tmp_path):
    hooks = ({'type': 'MomentumUpdateHook', 'momentum': COSINE},)
    # The schedule of the rate goes by iterations, so it is left out.
    shared = {'hooks': hooks, 'param_scheduler': None}
    large, _ = build_runner(tmp_path / 'large', batch=8, **shared)
    small, _ = build_runner(
        tmp_path / 'small', batch=2, accumulate=4, **shared
    )
    large.train()
    small.train()
    torch.testing.assert_close(
        large.model.state_dict(), small.model.state_dict()
    )


def test_momentum_and_scheduled_values_of_each_step(tmp_path):
    hooks = (
        {'type': 'MomentumUpdateHook', 'momentum': COSINE},
        {
            'type': 'ScheduledValueHook',
            'attribute': 'head.loss_module.coeff',
            'schedule': [
                {'kind': 'linear', 'start': 1.0, 'end': 0.4, 'epochs': 1},
                {'kind': 'constant', 'value': 0.4},
            ],
        },
    )
    runner, record = build_runner(tmp_path, hooks=hooks)
    runner.train()
    momentum = [s['momentum'] for s in record.scalars]
    expected = [0.05 * (1 + math.cos(math.pi * t / 7)) for t in range(8)]
    assert momentum == pytest.approx(expected)
    coeff = [s['coeff'] for s in record.scalars]
    assert coeff == pytest.approx([1, 0.8, 0.6, 0.4, 0.4, 0.4, 0.4, 0.4])
    filled = [s['queue_filled'] for s in record.scalars]
    assert filled == pytest.approx([0, 1 / 3, 2 / 3, 1, 1, 1, 1, 1])


def test_momentum_ends_at_the_last_step_whatever_the_epochs(tmp_path):
    # 5 iterations an epoch, 4 a step: three steps, at iterations 3, 7, 9.
    shared = {
        'images': 10,
        'batch': 2,
        'accumulate': 4,
        'hooks': ({'type': 'MomentumUpdateHook', 'momentum': COSINE},),
    }
    runner, record = build_runner(tmp_path / 'whole', **shared)
    runner.train()
    momentum = [row.get('momentum') for row in record.scalars]
    assert momentum[:3] == [None] * 3
    assert momentum[3:7] == pytest.approx([0.1] * 4)
    assert momentum[7:9] == pytest.approx([0.05] * 2)
    assert momentum[9] == 0
    # The checkpoint lies in the middle of a step.
    resumed, record = build_runner(
        tmp_path / 'resumed',
        resume=True,
        load_from=str(tmp_path / 'whole' / 'epoch_1.pth'),
        **shared,
    )
    resumed.train()
    momentum = [row.get('momentum') for row in record.scalars]
    assert momentum[-3:] == pytest.approx([0.05, 0.05, 0])
    assert resumed.model.momentum_encoder.shuffle_count == 5 * 2


def test_without_the_hook_training_stops(tmp_path):
    runner, record = build_runner(tmp_path, hooks=())
    with pytest.raises(UserError, match='momentum encoder was not updated'):
        runner.train()
    assert len(record.losses) == 1


@pytest.mark.parametrize(
    ('model', 'message'),
    [
        # The last batch of the epoch has two images.
        (
            {
                'backbone': {'type': 'TinyConvNet'},
                'shuffle_bn': {'simulated_devices': 4},
            },
            r'2 images does not split among 4.*drop_last',
        ),
        ({'queue_length': 7}, 'holds 7 keys but one step brings 8'),
    ],
)
def test_what_does_not_fit_is_refused_before_training(
    tmp_path, model, message
):
    runner, record = build_runner(tmp_path, images=14, model=model)
    with pytest.raises(ValueError, match=message):
        runner.train()
    assert record.losses == []


CONSTANT = {'kind': 'constant', 'value': 0.5}


@pytest.mark.parametrize(
    ('attribute', 'schedule', 'message'),
    [
        ('head.loss_module.lambd', CONSTANT, "has .'coeff'"),
        (
            'head.loss_module.coeff',
            {'kind': 'linear', 'start': 50, 'end': 0.5},
            r"coeff' cannot be 50: coeff is in \[0, 1\]",
        ),
        (
            'head.loss_module.coeff',
            [{**CONSTANT, 'epochs': 3}, CONSTANT],
            r'last 12 optimiser steps but the run has 8 \(4 an epoch\)',
        ),
    ],
)
def test_schedules_that_cannot_be_are_refused_before_training(
    tmp_path, attribute, schedule, message
):
    hooks = (
        {'type': 'MomentumUpdateHook', 'momentum': 0.1},
        {
            'type': 'ScheduledValueHook',
            'attribute': attribute,
            'schedule': schedule,
        },
    )
    runner, record = build_runner(tmp_path, hooks=hooks)
    with pytest.raises(ValueError, match=message):
        runner.train()
    assert record.losses == []
