"""Two processes equal one process with the batches of both."""

import socket

import pytest
import torch
import torch.multiprocessing as mp
from distributed_worker import (
    CASES,
    batches_of,
    build_case,
    run_steps,
    worker,
)

pytestmark = pytest.mark.integration


def test_two_processes_equal_one():
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    with mp.Manager() as manager:
        results = manager.dict()
        mp.spawn(worker, (port, results), nprocs=2)
        results = dict(results)
    for case in CASES:
        losses, state = run_steps(build_case(case), batches_of(case))
        for rank in range(2):
            torch.testing.assert_close(results[case, rank][0], losses)
            for name, value in results[case, rank][1].items():
                torch.testing.assert_close(
                    value, state[name], msg=f'{case} {name}'
                )
