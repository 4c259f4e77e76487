"""Two processes equal one process with the batches of both."""

import socket

import pytest
import torch
import torch.multiprocessing as mp
from distributed_worker import (
    CASES,
    batches_of,
    build_case,
    run_runner,
    run_steps,
    worker,
)
from tiny import build

pytestmark = pytest.mark.integration


@pytest.fixture(scope='module')
def results(tmp_path_factory):
    """What both processes made, started once for all tests."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    with mp.Manager() as manager:
        results = manager.dict()
        work_dir = str(tmp_path_factory.mktemp('processes'))
        mp.spawn(worker, (port, work_dir, results), nprocs=2)
        return dict(results)


@pytest.mark.parametrize('case', CASES)
def test_two_processes_equal_one(results, case):
    losses, state = run_steps(build_case(case), batches_of(case))
    for rank in range(2):
        torch.testing.assert_close(results[case, rank][0], losses)
        assert set(results[case, rank][1]) == set(state)
        for name, value in results[case, rank][1].items():
            torch.testing.assert_close(value, state[name], msg=name)


def test_two_runners_equal_one(results, tmp_path):
    losses, state = run_runner(tmp_path)
    assert len(losses) == 12
    assert losses.std() > 0.01
    for rank in range(2):
        torch.testing.assert_close(results['runner', rank][0], losses)
        for name, value in results['runner', rank][1].items():
            torch.testing.assert_close(value, state[name], msg=name)


def test_shuffled_keys_come_back_in_order(results):
    views = torch.stack(batches_of('symmetric')[0])
    plain = build(backbone={'type': 'TinyConvNet'}).double()
    for number, images in enumerate(views):
        # The permutation of this shuffle, then each process by hand.
        order = torch.randperm(
            6, generator=torch.Generator().manual_seed(number + 1)
        )
        expected = torch.zeros(6, 4, dtype=torch.float64)
        for rank in range(2):
            places = order[3 * rank : 3 * rank + 3]
            (keys,) = plain.neck(plain.backbone(images[places]))
            for place, key in zip(places, keys, strict=True):
                expected[place] = key / key.norm()
            torch.testing.assert_close(
                results['shuffle', rank][1][number], images[places]
            )
            assert set((places // 3).tolist()) == {0, 1}
        got = torch.cat([results['shuffle', r][0][number] for r in range(2)])
        torch.testing.assert_close(got, expected)


def test_a_resumed_run_shuffles_alike(results):
    for rank in range(2):
        keys, seen, _ = results['shuffle', rank]
        assert torch.equal(seen[2], seen[1])
        assert torch.equal(keys[2], keys[1])


def test_evaluation_does_not_shuffle(results):
    images = batches_of('symmetric')[0][0]
    for rank, half in enumerate(images.chunk(2)):
        torch.testing.assert_close(results['shuffle', rank][2], half)
