"""SampleIndex and SeededSampler."""

import itertools
import math
import pickle

import numpy as np
import pytest
from mmengine.dataset import DefaultSampler
from mmpretrain.registry import DATA_SAMPLERS

from sce_mm.datasets import SampleIndex, SeededSampler

DATA = range(11)
INDEX = SampleIndex(7, epoch=2, seed=5, fallback_indices=(3, 9))


@pytest.mark.parametrize(
    ('moved', 'fallbacks'),
    [
        (INDEX - 4, (-1, 5)),
        (-4 + INDEX, (-1, 5)),
        (INDEX + -4, (-1, 5)),
        (INDEX % 4, (3, 1)),
        (INDEX.moved(3), (3, 9)),
        (pickle.loads(pickle.dumps(INDEX.moved(3))), (3, 9)),
    ],
)
def test_arithmetic_and_pickling_keep_the_draw(
    moved: SampleIndex, fallbacks: tuple[int, ...]
) -> None:
    assert isinstance(moved, SampleIndex)
    assert moved == 3
    assert DATA[moved] == 3
    assert (moved.epoch, moved.seed, moved.origin) == (2, 5, 7)
    assert moved.fallback_indices == fallbacks
    same = SampleIndex(7, 2, 5).rng(1).random(4)
    assert (moved.rng(1).random(4) == same).all()


@pytest.mark.parametrize(
    ('times', 'inner'), [((2, 3), DATA), ((2, 3, 2), DATA), ((3,), range(7))]
)
def test_repetitions_within_each_other_count_together(
    times: tuple[int, ...], inner: range
) -> None:
    sizes = [len(inner) * math.prod(times[:n]) for n in range(len(times))]
    seen = set()
    for value in range(len(inner) * math.prod(times)):
        index = SampleIndex(value, epoch=0, seed=0)
        for size in reversed(sizes):
            index %= size
        seen.add((int(index), index.repetition))
    assert seen == set(itertools.product(inner, range(math.prod(times))))


def test_images_of_joined_data_sets_have_numbers_of_their_own() -> None:
    index = pickle.loads(pickle.dumps(SampleIndex(130, 0, 0) % 40 - 20))
    assert (index, index.image, index.repetition) == (10 - 20, 10, 3)
    # Joined of 4 x 20 images and 2 x 30.
    index = pickle.loads(pickle.dumps((SampleIndex(125, 0, 0) - 80) % 30))
    assert (index, index.image, index.repetition) == (15, 95, 1)
    assert index.moved(3).image == 83


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


@pytest.mark.parametrize('processes', [1, 3])
def test_processes_share_the_images_in_equal_parts(
    monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    seen = set()
    for epoch in range(8):
        shares = []
        for rank in range(processes):
            monkeypatch.setattr(
                'mmengine.dataset.sampler.get_dist_info',
                lambda rank=rank: (rank, processes),
            )
            sampler = SeededSampler(DATA, seed=0)
            sampler.set_epoch(epoch)
            shares.append(list(sampler))
            assert len(shares[-1]) == len(sampler) == 11 // processes
        whole = DefaultSampler(DATA, seed=0)
        whole.set_epoch(epoch)
        whole.rank, whole.world_size = 0, 1
        dealt = list(itertools.chain(*zip(*shares, strict=True)))
        assert dealt == list(whole)[: len(dealt)]
        seen |= set(dealt)
    # What is left over in one epoch comes in another.
    assert seen == set(DATA)


@pytest.mark.parametrize('size', [16, 1001])
def test_fallbacks_lie_far_from_their_image_and_from_each_other(
    size: int,
) -> None:
    order = list(SeededSampler(range(size), seed=1))
    place = {int(index): number for number, index in enumerate(order)}
    for index in order:
        places = [place[i] for i in (int(index), *index.fallback_indices)]
        assert len(places) == 8
        for count, parts in ((1, 2), (3, 4), (7, 8)):
            for one, two in itertools.combinations(places[: count + 1], 2):
                distance = (one - two) % size
                assert min(distance, size - distance) >= size // parts
