"""SampleIndex and SeededSampler."""

import itertools
import pickle
from collections.abc import Sized

import numpy as np
import pytest
from mmengine.dataset import DefaultSampler
from mmpretrain.registry import DATA_SAMPLERS

from sce_mm.datasets import SampleIndex, SeededSampler

DATA = range(11)


def shares_of(
    monkeypatch: pytest.MonkeyPatch,
    dataset: Sized,
    processes: int,
    seed: int = 0,
    epoch: int = 0,
) -> list[list[SampleIndex]]:
    """What each of some processes gets in an epoch."""
    shares = []
    for rank in range(processes):
        monkeypatch.setattr(
            'mmengine.dataset.sampler.get_dist_info',
            lambda rank=rank: (rank, processes),
        )
        sampler = SeededSampler(dataset, seed=seed)
        sampler.set_epoch(epoch)
        shares.append(list(sampler))
        assert len(shares[-1]) == len(sampler)
    return shares


def test_an_index_is_an_integer_that_knows_its_draw() -> None:
    index = SampleIndex(7, epoch=2, seed=5)
    assert index == 7
    assert DATA[index] == 7
    assert (index.epoch, index.seed, index.origin) == (2, 5, 7)


@pytest.mark.parametrize(
    'moved',
    [
        SampleIndex(7, 2, 5) - 4,
        SampleIndex(7, 2, 5) % 4,
        -4 + SampleIndex(7, 2, 5),
        SampleIndex(7, 2, 5) + -4,
        SampleIndex(7, 2, 5).moved(3),
        pickle.loads(pickle.dumps(SampleIndex(7, 2, 5).moved(3))),
    ],
)
def test_arithmetic_and_pickling_keep_the_draw(moved: SampleIndex) -> None:
    assert isinstance(moved, SampleIndex)
    assert moved == 3
    assert (moved.epoch, moved.seed, moved.origin) == (2, 5, 7)
    same = SampleIndex(7, 2, 5).rng(1).random(4)
    assert (moved.rng(1).random(4) == same).all()


def test_streams_of_numbers_are_distinct_and_uncorrelated() -> None:
    rows = np.stack(
        [
            SampleIndex(index, epoch, seed).rng(stream).random(64)
            for index in range(4)
            for epoch in range(4)
            for seed in (0, 1, 2**31 - 1, 2**63)
            for stream in (0, 1, 2**32)
        ]
    )
    assert len({row.tobytes() for row in rows}) == len(rows)
    off_diagonal = np.corrcoef(rows)[np.triu_indices(len(rows), 1)]
    # 192 * 191 / 2 correlations of 64 pairs: standard deviation 1 / 8.
    assert abs(off_diagonal.mean()) < 0.005
    assert off_diagonal.std() == pytest.approx(1 / 8, rel=0.05)
    assert abs(rows.mean() - 0.5) < 0.01


@pytest.mark.parametrize('shuffle', [True, False])
def test_the_order_is_that_of_the_default_sampler(shuffle: bool) -> None:
    config = dict(type='SeededSampler', dataset=DATA, seed=3, shuffle=shuffle)
    ours = DATA_SAMPLERS.build(config)
    theirs = DefaultSampler(DATA, seed=3, shuffle=shuffle)
    for epoch in (0, 1, 5):
        ours.set_epoch(epoch)
        theirs.set_epoch(epoch)
        indices = list(ours)
        assert indices == list(theirs)
        assert {(index.epoch, index.seed) for index in indices} == {(epoch, 3)}


@pytest.mark.parametrize('processes', [1, 2, 3, 4])
def test_processes_share_the_images_in_equal_parts(
    monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    order = list(SeededSampler(DATA, seed=0))
    shares = shares_of(monkeypatch, DATA, processes)
    assert {len(share) for share in shares} == {len(DATA) // processes}
    dealt = list(itertools.chain(*zip(*shares, strict=True)))
    assert dealt == order[: len(dealt)]


def test_every_image_comes_in_some_epoch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = set()
    for epoch in range(8):
        for share in shares_of(monkeypatch, DATA, 4, epoch=epoch):
            seen |= set(share)
    assert seen == set(DATA)


def test_spares_go_along_with_the_index() -> None:
    index = SampleIndex(7, 2, 5, fallback_indices=(3, 9))
    assert (index - 4).fallback_indices == (-1, 5)
    assert (index + 1).fallback_indices == (4, 10)
    assert (index % 4).fallback_indices == (3, 1)
    assert index.moved(1).fallback_indices == (3, 9)
    assert pickle.loads(pickle.dumps(index)).fallback_indices == (3, 9)


@pytest.mark.parametrize('size', [16, 33, 100, 1001])
def test_spares_lie_far_from_their_image_and_from_each_other(
    size: int,
) -> None:
    order = list(SeededSampler(range(size), seed=1))
    place = {int(index): number for number, index in enumerate(order)}
    for index in order:
        places = [
            place[int(index)],
            *(place[s] for s in index.fallback_indices),
        ]
        assert len(index.fallback_indices) == 7
        for fallback_indices, parts in ((1, 2), (3, 4), (7, 8)):
            for one, two in itertools.combinations(
                places[: fallback_indices + 1], 2
            ):
                distance = (one - two) % size
                assert min(distance, size - distance) >= size // parts
