"""SampleIndex and SeededSampler."""

import itertools
import pickle

import numpy as np
import pytest
from mmengine.dataset import DefaultSampler
from mmpretrain.registry import DATA_SAMPLERS

from sce_mm.datasets import SampleIndex, SeededSampler

DATA = range(11)


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


def test_processes_share_the_indices(monkeypatch: pytest.MonkeyPatch) -> None:
    shares = []
    for rank in range(3):
        monkeypatch.setattr(
            'mmengine.dataset.sampler.get_dist_info', lambda r=rank: (r, 3)
        )
        shares.append(list(SeededSampler(DATA, seed=0, round_up=False)))
    assert sorted(itertools.chain(*shares)) == list(DATA)
