"""A batch of all processes never holds an image twice.

It would be its own negative. Batches are put together as in training: the
n-th batch of every process, by whatever number of processes.
"""

from collections.abc import Callable, Iterator, Sized
from pathlib import Path
from typing import Any

import pytest
from mmengine.dataset import ConcatDataset, DefaultSampler, RepeatDataset

from sce_mm.datasets import SampleIndex, SeededSampler, UnlabelledImages

Batches = Iterator[list[int]]
SAMPLERS = {'ours': SeededSampler, 'default': DefaultSampler}


@pytest.fixture
def deal(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Batches]:
    """``deal(dataset, processes, batch, seed)``: the batches of two epochs."""

    def make(
        dataset: Sized,
        processes: int,
        batch: int,
        seed: int,
        sampler: str = 'ours',
    ) -> Batches:
        samplers = []
        for rank in range(processes):
            monkeypatch.setattr(
                'mmengine.dataset.sampler.get_dist_info',
                lambda rank=rank: (rank, processes),
            )
            samplers.append(SAMPLERS[sampler](dataset, seed=seed))
        for epoch in range(2):
            for one in samplers:
                one.set_epoch(epoch)
            shares = [list(one) for one in samplers]
            for start in range(0, len(shares[0]) - batch + 1, batch):
                yield [i for s in shares for i in s[start : start + batch]]

    return make


@pytest.fixture
def broken(tmp_path: Path) -> set[str]:
    """Paths of 64 images of which three cannot be read."""
    for number in range(64):
        (tmp_path / f'{number:02}.jpg').touch()
    return {str(tmp_path / f'{number:02}.jpg') for number in (5, 6, 40)}


@pytest.fixture
def images(tmp_path: Path, broken: set[str]) -> UnlabelledImages:
    def read(results: dict[str, Any]) -> dict[str, Any] | None:
        return None if results['img_path'] in broken else results

    return UnlabelledImages(str(tmp_path), pipeline=[read])


def paths(dataset: Any, indices: list[int]) -> list[str]:
    return [dataset[index]['img_path'] for index in indices]


def has_duplicates(values: list[Any]) -> bool:
    return len(set(values)) < len(values)


@pytest.mark.parametrize(('processes', 'batch'), [(1, 16), (4, 4)])
def test_nor_do_replacements(
    images: UnlabelledImages,
    broken: set[str],
    deal: Callable[..., Batches],
    processes: int,
    batch: int,
) -> None:
    at_random = 0
    for seed in range(30):
        for indices in deal(images, processes, batch, seed):
            found = paths(images, indices)
            assert not has_duplicates(found), f'seed {seed}'
            assert not broken & set(found)
            bare = [SampleIndex(i, i.epoch, i.seed) for i in indices]
            at_random += has_duplicates(paths(images, bare))
    # Were replacements drawn at random, it would have happened often.
    assert at_random > 10


@pytest.mark.parametrize('processes', [1, 2])
def test_nor_do_repetitions(
    images: UnlabelledImages,
    broken: set[str],
    deal: Callable[..., Batches],
    processes: int,
) -> None:
    repeated = RepeatDataset(images, times=3)
    batch = 16 // processes
    for seed in range(10):
        seen = []
        for indices in deal(repeated, processes, batch, seed):
            assert not has_duplicates(paths(repeated, indices))
            seen += indices
        assert sorted(seen) == sorted([*range(192), *range(192)])
    usual = deal(repeated, processes, batch, 0, 'default')
    assert any(has_duplicates(paths(repeated, i)) for i in usual)


def test_fallbacks_of_another_data_set_are_passed_over(
    images: UnlabelledImages,
    broken: set[str],
    deal: Callable[..., Batches],
) -> None:
    halves = [images.get_subset(list(range(32))), images.get_subset(-32)]
    joined = ConcatDataset(halves)
    for seed in range(20):
        for indices in deal(joined, 2, 4, seed):
            assert not broken & set(paths(joined, indices))
