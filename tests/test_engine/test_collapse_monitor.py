"""A collapse is a warning, with patience."""

import pytest
import torch
from tiny_runner import build_runner

from sce_mm.engine import CollapseMonitorHook
from sce_mm.engine.hooks.collapse_monitor_hook import (
    CollapseError,
    effective_rank,
)

UPDATE = {'type': 'MomentumUpdateHook', 'momentum': 0.1}


def test_effective_rank_counts_directions(unit_rows):
    eye = torch.cat([torch.eye(6), -torch.eye(6)])
    assert effective_rank(eye).item() == pytest.approx(6)
    line = torch.arange(5.0).unsqueeze(1) * torch.tensor([[1.0, 2.0, 3.0]])
    assert effective_rank(line).item() == pytest.approx(1, abs=1e-4)
    assert effective_rank(torch.ones(4, 3)).item() == pytest.approx(1)
    assert 7 < effective_rank(unit_rows(2000, 8)).item() <= 8


def test_numbers_out_of_range_are_refused():
    with pytest.raises(ValueError, match='at least 1, got 0 and 5'):
        CollapseMonitorHook(interval=0)


def monitored(folder, rate, **options):
    """Eight steps, and the log. A large rate makes the tiny model collapse."""
    hook = {
        'type': 'CollapseMonitorHook',
        'interval': 1,
        'patience': 2,
        **options,
    }
    optimizer = {'type': 'SGD', 'lr': rate, 'momentum': 0.9}
    runner, record = build_runner(
        folder,
        hooks=(UPDATE, hook),
        log_level='WARNING',
        optim_wrapper={'type': 'OptimWrapper', 'optimizer': optimizer},
    )
    runner.train()
    name = f'{runner.timestamp}/{runner.timestamp}.log'
    return record, (folder / name).read_text()


@pytest.mark.integration
def test_a_collapse_is_a_warning_and_can_stop_the_run(tmp_path):
    record, log = monitored(tmp_path / 'warned', rate=0.3)
    assert len(record.losses) == 8
    # Full after three steps, then two looks.
    assert 'iteration 3' not in log
    assert 'iteration 4, 2 looks in a row: collapse: embedding_std is 0' in log
    with pytest.raises(CollapseError, match='all images look alike'):
        monitored(tmp_path / 'stop', rate=0.3, stop=True)


@pytest.mark.integration
def test_a_healthy_run_is_not_warned_of(tmp_path):
    record, log = monitored(tmp_path, rate=0.001)
    assert 'looks in a row' not in log
    assert 1 <= record.scalars[-1]['effective_rank'] <= 4
