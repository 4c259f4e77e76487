"""The learning rate at the steps that the recipe names, and in a Runner."""

import math

import pytest
import torch
from mmengine.hooks import Hook
from mmpretrain.registry import PARAM_SCHEDULERS
from tiny_runner import build_runner

from sce_mm.engine.schedulers.warmup_cosine import (
    WarmupCosineLR,
    warmup_cosine,
)

CONFIG = {
    'type': 'WarmupCosineLR',
    'warmup_epochs': 1,
    'convert_to_iter_based': True,
}


class Rates(Hook):
    """Learning rate of each iteration's optimiser step."""

    def __init__(self):
        self.rates = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.rates.append(runner.optim_wrapper.get_lr()['lr'][0])


def by_recursion(warmup, total):
    """The curve as a list, from the two formulas written out."""
    rates = []
    for t in range(total):
        if t < warmup:
            rates.append(t / (warmup - 1))
        else:
            way = (t - warmup) / (total - warmup)
            rates.append(0.5 * (1 + math.cos(math.pi * way)))
    return rates


def test_closed_form_at_the_named_steps():
    warmup, total = 3_120, 62_400
    share = warmup_cosine(warmup, total)
    assert share(0) == 0
    assert share(1) == pytest.approx(1 / 3_119)
    assert share(warmup - 1) == 1
    assert share(warmup) == 1
    half = 0.5 * (1 + math.cos(math.pi * (31_200 - 3_120) / 59_280))
    assert share(total // 2) == pytest.approx(half)
    assert 0 < share(total - 1) < 1e-8
    assert share(total) == pytest.approx(0, abs=1e-15)


def test_without_warmup_the_rate_is_full_at_once():
    assert [warmup_cosine(w, 10)(0) for w in (0, 1)] == [1, 1]


def rates(tmp_path, **options):
    seen = Rates()
    update = {'type': 'MomentumUpdateHook', 'momentum': 0.1}
    options = {'param_scheduler': CONFIG} | options
    runner, _ = build_runner(tmp_path, hooks=(update, seen), **options)
    runner.train()
    return seen.rates


def test_accumulation_counts_optimiser_steps(tmp_path):
    # Two iterations make one step: 2 steps an epoch, 6 in all.
    expected = [0.3 * s for s in by_recursion(2, 6) for _ in range(2)]
    assert rates(tmp_path, epochs=3, accumulate=2) == pytest.approx(expected)


def test_an_epoch_need_not_be_whole_steps(tmp_path):
    # 5 iterations an epoch, 4 a step: steps at 0-3, 4-7 and 8-9.
    expected = [
        0.15 * (1 + math.cos(math.pi * t / 3)) for t in (0,) * 4 + (1,) * 4
    ] + [0.15 * (1 + math.cos(math.pi * 2 / 3))] * 2
    got = rates(
        tmp_path,
        images=10,
        batch=2,
        accumulate=4,
        param_scheduler=CONFIG | {'warmup_epochs': 0},
    )
    assert got == pytest.approx(expected)


def optimizer():
    return torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.3)


def test_iterations_must_be_known():
    config = {'type': 'WarmupCosineLR', 'warmup_epochs': 1}
    with pytest.raises(ValueError, match='convert_to_iter_based=True'):
        PARAM_SCHEDULERS.build(
            config, default_args={'optimizer': optimizer(), 'epoch_length': 4}
        )


@pytest.mark.parametrize('warmup', [-1, 5])
def test_warmup_must_fit(warmup):
    with pytest.raises(ValueError, match='below the 5 epochs'):
        WarmupCosineLR(optimizer(), warmup, epoch_length=4, end=5)
