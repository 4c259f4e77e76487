"""Once per optimiser step, closed forms, and refusals before training."""

import math

import pytest
import torch
from tiny_runner import build_runner

pytestmark = pytest.mark.integration

COSINE = {'kind': 'cosine', 'start': 0.1, 'end': 0.0}


def states_equal(first, second, exact=False):
    tolerance = {'rtol': 0, 'atol': 0} if exact else {}
    for name, value in first.state_dict().items():
        torch.testing.assert_close(
            value, second.state_dict()[name], msg=name, **tolerance
        )


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
    states_equal(large.model, small.model)


def test_last_step_of_a_run_may_have_fewer_batches(tmp_path):
    # 5 batches an epoch, 2 an optimiser step: 10 / 4 -> 3 steps.
    runner, _ = build_runner(
        tmp_path,
        images=10,
        batch=2,
        accumulate=4,
        hooks=({'type': 'MomentumUpdateHook', 'momentum': 0.1},),
    )
    updates = []
    update = runner.model.after_optimizer_step
    runner.model.after_optimizer_step = lambda m: (
        updates.append(runner.iter),
        update(m),
    )
    runner.train()
    assert updates == [3, 7, 9]


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


@pytest.mark.parametrize('accumulate', [1, 2])
def test_resume_equals_uninterrupted_to_the_last_bit(tmp_path, accumulate):
    hooks = (
        {'type': 'MomentumUpdateHook', 'momentum': COSINE},
        {
            'type': 'ScheduledValueHook',
            'attribute': 'head.loss_module.target_temperature',
            'schedule': {'kind': 'linear', 'start': 0.04, 'end': 0.07},
        },
    )
    shared = {
        'hooks': hooks,
        'epochs': 4,
        'accumulate': accumulate,
        'model': {'batch_norm': True},
    }
    whole, whole_record = build_runner(tmp_path / 'whole', **shared)
    whole.train()
    # Another seed: everything that matters must come from the checkpoint.
    resumed, record = build_runner(
        tmp_path / 'resumed',
        seed=1,
        resume=True,
        load_from=str(tmp_path / 'whole' / 'epoch_2.pth'),
        **shared,
    )
    resumed.train()
    assert torch.equal(
        torch.stack(record.losses), torch.stack(whole_record.losses[8:])
    )
    states_equal(whole.model, resumed.model, exact=True)
    assert whole.optim_wrapper.get_lr() == resumed.optim_wrapper.get_lr()


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


@pytest.mark.parametrize(
    ('images', 'devices', 'message'),
    [
        (16, 3, 'batch of 4 images does not split among 3'),
        (14, 4, 'batch of 2 images does not split among 4.*drop_last'),
    ],
)
def test_batches_that_do_not_split_are_refused_before_training(
    tmp_path, images, devices, message
):
    runner, record = build_runner(
        tmp_path,
        images=images,
        model={
            'backbone': {'type': 'TinyConvNet'},
            'shuffle_bn': {'simulated_devices': devices},
        },
    )
    with pytest.raises(ValueError, match=message):
        runner.train()
    assert record.losses == []


def test_without_the_hook_training_stops(tmp_path):
    runner, record = build_runner(tmp_path, hooks=())
    with pytest.raises(RuntimeError, match='momentum encoder was not updated'):
        runner.train()
    assert len(record.losses) == 1


def test_a_queue_shorter_than_a_step_is_refused_before_it(tmp_path):
    runner, record = build_runner(tmp_path, model={'queue_length': 7})
    with pytest.raises(ValueError, match='holds 7 keys but one step brings 8'):
        runner.train()
    assert record.losses == []


CONSTANT = {'kind': 'constant', 'value': 0.5}


@pytest.mark.parametrize(
    ('attribute', 'schedule', 'message'),
    [
        ('head.loss_module.lambd', CONSTANT, "has .'coeff'"),
        ('head.los_module.coeff', CONSTANT, "SCEHead has no 'los_module'"),
        ('head.loss_module', CONSTANT, 'is not a number of the model'),
        (
            'head.in_batch_keys',
            CONSTANT,
            'is not a number of the model',
        ),
        (
            'head.loss_module.coeff',
            {'kind': 'linear', 'start': 50, 'end': 0.5},
            r"coeff' cannot be 50: coeff is in \[0, 1\]",
        ),
        (
            'head.loss_module.target_temperature',
            {'kind': 'cosine', 'start': 0.07, 'end': 0.0},
            'cannot be 0.0: .*temperatures are positive',
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
