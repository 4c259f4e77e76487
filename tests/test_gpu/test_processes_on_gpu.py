"""Processes on one card, with SyncBN, equal one process."""

import pytest
import torch
import torch.multiprocessing as mp
from device_worker import build_synced, steps, worker
from mmengine.model import revert_sync_batchnorm
from torch import nn


@pytest.mark.parametrize(
    ('backend', 'world'),
    # NCCL takes one process a card.
    [('nccl', 1), ('gloo', 2)],
)
def test_processes_equal_one(device, tmp_path, backend, world):
    if device.type == 'cpu':
        backend = 'gloo'
    _, _, expected = steps(
        revert_sync_batchnorm(build_synced(device)), device, 0, 1
    )
    # A process that has used CUDA cannot be forked.
    mp.start_processes(
        worker,
        (world, backend, device, tmp_path),
        world,
        start_method='spawn',
    )
    for rank in range(world):
        state = torch.load(tmp_path / f'{rank}.pth', weights_only=True)
        assert set(state) == set(expected)
        for name, value in expected.items():
            torch.testing.assert_close(state[name], value.cpu(), msg=name)


def test_one_process_needs_no_sync_bn(device):
    model = build_synced(device)
    if device.type == 'cuda':
        assert any(isinstance(m, nn.SyncBatchNorm) for m in model.modules())
    reverted = revert_sync_batchnorm(model)
    assert not any(isinstance(m, nn.SyncBatchNorm) for m in reverted.modules())
    log, _, _ = steps(reverted, device, 0, 1)
    assert all(values['loss'].isfinite() for values in log)
