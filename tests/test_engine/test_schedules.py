"""Schedules at their ends, in the middle, and in both directions."""

import math

import pytest

from sce_mm.engine.schedulers.schedules import (
    build_schedule,
    cosine,
    linear,
)


@pytest.mark.parametrize('make', [linear, cosine])
@pytest.mark.parametrize(('start', 'end'), [(0.04, 0.07), (1.0, 0.2)])
def test_ends_middle_and_direction(make, start, end):
    schedule = make(start, end, 101)
    assert schedule(0) == pytest.approx(start)
    assert schedule(50) == pytest.approx((start + end) / 2)
    assert schedule(100) == pytest.approx(end)
    assert schedule(1000) == pytest.approx(end)
    values = [schedule(t) for t in range(101)]
    assert values == sorted(values, reverse=start > end)


@pytest.mark.parametrize('make', [linear, cosine])
def test_a_schedule_of_one_step_is_at_its_end(make):
    assert make(1.0, 0.5, 1)(0) == 0.5


def test_phases_follow_each_other_and_the_last_takes_the_rest():
    schedule = build_schedule(
        [
            {'kind': 'linear', 'start': 1.0, 'end': 0.5, 'epochs': 2},
            {'kind': 'constant', 'value': 0.9, 'steps': 3},
            {'kind': 'cosine', 'start': 0.5, 'end': 0.2},
        ],
        total_steps=11,
        steps_per_epoch=2,
    )
    values = [schedule(t) for t in range(11)]
    assert values[:4] == pytest.approx([1, 5 / 6, 2 / 3, 0.5])
    assert values[4:7] == [0.9] * 3
    expected = [0.2 + 0.15 * (1 + math.cos(math.pi * t / 3)) for t in range(4)]
    assert values[7:] == pytest.approx(expected)


@pytest.mark.parametrize(
    ('phases', 'message'),
    [
        ([], 'at least one phase'),
        ({'kind': 'cos', 'start': 0, 'end': 1}, "got 'cos'"),
        ({'kind': 'linear', 'start': 0}, 'linear phase takes start, end'),
        (
            [{'kind': 'constant', 'value': 1}] * 2,
            'every phase but the last needs its length',
        ),
        (
            {'kind': 'constant', 'value': 1, 'epochs': 1, 'steps': 1},
            'epochs or steps, not both',
        ),
        ({'kind': 'constant', 'value': True}, 'value must be a number'),
        (
            {'kind': 'constant', 'value': 1, 'epochs': -1},
            'epochs or steps must be positive',
        ),
        (
            [
                {'kind': 'linear', 'start': 0, 'end': 1, 'epochs': 1},
                {'kind': 'constant', 'value': 1, 'steps': 6},
            ],
            'last 11 optimiser steps but the run has 10 .5 an epoch.',
        ),
    ],
)
def test_malformed_schedules_are_refused(phases, message):
    with pytest.raises(ValueError, match=message):
        build_schedule(phases, total_steps=10, steps_per_epoch=5)


def test_a_last_phase_with_a_length_holds_its_end():
    schedule = build_schedule(
        {'kind': 'cosine', 'start': 1.0, 'end': 0.0, 'steps': 4},
        total_steps=10,
        steps_per_epoch=5,
    )
    assert schedule(0) == 1
    assert [schedule(t) for t in (3, 4, 9)] == [0, 0, 0]
