"""Two and four processes equal one process with the batches of all."""

from itertools import pairwise

import pytest
import torch
import torch.multiprocessing as mp
from distributed_worker import (
    ACCUMULATIONS,
    BATCHES,
    CASES,
    WORLDS,
    batches_of,
    build_case,
    places_of,
    run_runner,
    run_steps,
    worker,
)
from tiny import build

pytestmark = pytest.mark.integration


@pytest.fixture(scope='module')
def results(tmp_path_factory):
    """What all processes made, started once for all tests."""
    folder = tmp_path_factory.mktemp('processes')
    # Forked, so that they do not import everything again.
    mp.start_processes(worker, (folder,), max(WORLDS), start_method='fork')
    return {
        (world, rank): torch.load(folder / f'results_{world}_{rank}.pth')
        for world in WORLDS
        for rank in range(world)
    }


def in_any_order(queues):
    """Rows of queues, sorted; of other things the same."""
    return {
        key: x[x[:, 0].argsort()] if key.endswith('queue.features') else x
        for key, x in queues.items()
    }


@pytest.mark.parametrize('accumulated', ACCUMULATIONS)
@pytest.mark.parametrize('case', CASES)
def test_processes_equal_one(results, case, accumulated):
    log, queues, state = run_steps(
        build_case(case), batches_of(case), places_of(), accumulated
    )
    assert len(log) == len(BATCHES)
    for got_log, got_queues, got_state in (
        of_rank[case, accumulated] for of_rank in results.values()
    ):
        # Loss and its parts, entropy, neighbours, spread, share of the queue.
        torch.testing.assert_close(got_log, log)
        if 'places' in case:
            # Keys are in rank order, images are given to ranks in turn.
            got_state, state = in_any_order(got_state), in_any_order(state)
            got_queues, queues = (
                [in_any_order(step) for step in steps]
                for steps in (got_queues, queues)
            )
        torch.testing.assert_close(got_queues, queues)
        torch.testing.assert_close(got_state, state)


@pytest.mark.parametrize('accumulated', ACCUMULATIONS)
@pytest.mark.parametrize('case', CASES)
def test_queues_are_the_same_to_the_last_bit(results, case, accumulated):
    for world in WORLDS:
        _, queues, state = results[world, 0][case, accumulated]
        # A queue that never moved would be equal too.
        for before, after in pairwise(queues):
            assert not any(torch.equal(after[k], before[k]) for k in before)
        for rank in range(1, world):
            _, others, other = results[world, rank][case, accumulated]
            for one, two in zip(others, queues, strict=True):
                assert all(torch.equal(one[k], two[k]) for k in two)
            assert all(torch.equal(other[k], state[k]) for k in state)


def test_runners_equal_one(results, tmp_path):
    log, state = run_runner(tmp_path)
    losses = torch.tensor([values['loss'] for values in log])
    assert len(log) == 12
    assert losses.std() > 0.01
    for of_rank in results.values():
        got_log, got_state = of_rank['runner']
        drop = {'time', 'data_time'}
        for got, values in zip(got_log, log, strict=True):
            assert set(got) == set(values)
            for name in set(values) - drop:
                expected = pytest.approx(values[name], 1e-5, 1e-5)
                assert got[name] == expected, name
        torch.testing.assert_close(got_state, state)


def test_shuffled_keys_come_back_in_order(results):
    views = torch.stack(batches_of('symmetric')[0])
    plain = build(backbone={'type': 'TinyConvNet'}).double()
    for number, images in enumerate(views):
        # The permutation of this shuffle, then each process by hand.
        order = torch.randperm(
            8, generator=torch.Generator().manual_seed(number + 1)
        )
        expected = torch.zeros(8, 4, dtype=torch.float64)
        for rank in range(2):
            places = order[4 * rank : 4 * rank + 4]
            (keys,) = plain.neck(plain.backbone(images[places]))
            for place, key in zip(places, keys, strict=True):
                expected[place] = key / key.norm()
            torch.testing.assert_close(
                results[2, rank]['shuffle'][1][number], images[places]
            )
            assert set((places // 4).tolist()) == {0, 1}
        got = torch.cat(
            [results[2, r]['shuffle'][0][number] for r in range(2)]
        )
        torch.testing.assert_close(got, expected)


def test_a_resumed_run_shuffles_alike(results):
    for rank in range(2):
        keys, seen, _ = results[2, rank]['shuffle']
        assert torch.equal(seen[2], seen[1])
        assert torch.equal(keys[2], keys[1])


def test_evaluation_does_not_shuffle(results):
    images = batches_of('symmetric')[0][0]
    for rank, half in enumerate(images.chunk(2)):
        torch.testing.assert_close(results[2, rank]['shuffle'][2], half)
