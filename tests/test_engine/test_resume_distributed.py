"""Two processes that were interrupted within an epoch."""

import socket

import pytest
import torch
import torch.multiprocessing as mp
from resumable import regions
from resume_worker import worker

pytestmark = pytest.mark.integration


@pytest.mark.parametrize('kind', [None, 'files', 'shards'])
def test_two_processes_resume_to_the_last_bit(tmp_path, kind):
    dataset = kind and regions(tmp_path, kind)
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    with mp.Manager() as manager:
        results = manager.dict()
        # Forked, so that neither of them imports everything again.
        mp.start_processes(
            worker,
            (port, tmp_path, dataset, results),
            2,
            start_method='fork',
        )
        results = dict(results)
    for rank in range(2):
        whole, drawn = results['whole', rank]
        resumed, drawn_again = results['resumed', rank]
        assert torch.equal(whole[8:], resumed)
        assert results['code', rank] == 75
        stopped, drawn_last = results['stopped', rank]
        assert torch.equal(whole[6:], stopped)
        assert drawn == drawn_last
        # The generators of each process are its own, before and after.
        assert drawn == drawn_again
    assert results['whole', 0][1] != results['whole', 1][1]
