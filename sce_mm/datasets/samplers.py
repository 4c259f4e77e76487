"""Sample images by seed and epoch, no image twice in a batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Sized
from typing import Any

import numpy as np
import torch
from mmengine.dataset import DefaultSampler, RepeatDataset
from mmpretrain.registry import DATA_SAMPLERS

_MASK = (1 << 64) - 1
# Where the fallbacks of an image lie, as shares of the order: any 2^k - 1 of
# them from the start are 2^-k of the order apart, and from the image itself.
_FALLBACK_SHARES = (1 / 2, 1 / 4, 3 / 4, 1 / 8, 3 / 8, 5 / 8, 7 / 8)


class SampleIndex(int):
    """An index that also carries what a random draw for it depends on.

    Dataset wrappers compute with indices (``ConcatDataset`` subtracts,
    ``RepeatDataset`` takes the remainder); the result keeps the epoch, the
    seed and ``origin``, the number that the sampler gave out.

    >>> index = SampleIndex(7, epoch=2, seed=5, fallback_indices=[3, 9])
    >>> moved = index % 4
    >>> moved, moved.origin, moved.epoch, moved.fallback_indices
    (3, 7, 2, (3, 1))
    >>> bool((moved.rng(0).random(9) == index.rng(0).random(9)).all())
    True

    Args:
        value: The index.
        epoch: Epoch of the sampler.
        seed: Seed of the sampler.
        origin: Index as the sampler gave it out. Defaults to ``value``.
        fallback_indices: Indices of the images that take this one's place, in
            turn, if it cannot be read.
        repetition: Counts the times that ``RepeatDataset`` gives the image
            out in this epoch, from 0. Of one that lies in another they count
            together; a ``ConcatDataset`` in between may leave gaps.
        offset: What ``ConcatDataset`` has subtracted from the index.
    """

    epoch: int
    seed: int
    origin: int
    fallback_indices: tuple[int, ...]
    repetition: int
    offset: int

    def __new__(
        cls,
        value: int,
        epoch: int,
        seed: int,
        origin: int | None = None,
        fallback_indices: Sequence[int] = (),
        repetition: int = 0,
        offset: int = 0,
    ) -> SampleIndex:
        """Make the integer and attach the rest to it."""
        self = super().__new__(cls, value)
        self.epoch = int(epoch)
        self.seed = int(seed)
        self.origin = int(value) if origin is None else int(origin)
        self.fallback_indices = tuple(fallback_indices)
        self.repetition = int(repetition)
        self.offset = int(offset)
        return self

    @property
    def image(self) -> int:
        """Number of the image among those of all parts of the data set."""
        return int(self) + self.offset

    def moved(
        self, value: int, fallback_indices: Sequence[int] | None = None
    ) -> SampleIndex:
        """The same draw for another place in a dataset."""
        if fallback_indices is None:
            fallback_indices = self.fallback_indices
        return SampleIndex(
            value,
            self.epoch,
            self.seed,
            self.origin,
            fallback_indices,
            self.repetition,
            self.offset,
        )

    def __add__(self, other: int) -> SampleIndex:
        places = [i + int(other) for i in (int(self), *self.fallback_indices)]
        moved = self.moved(places[0], places[1:])
        moved.offset -= int(other)
        return moved

    __radd__ = __add__

    def __sub__(self, other: int) -> SampleIndex:
        return self + -int(other)

    def __mod__(self, other: int) -> SampleIndex:
        size = int(other)
        places = [i % size for i in (int(self), *self.fallback_indices)]
        moved = self.moved(places[0], places[1:])
        # By the origin: what an outer repetition took off counts as well.
        moved.repetition = (self.origin - self.offset) // size
        return moved

    def __reduce__(self) -> tuple[type[SampleIndex], tuple[Any, ...]]:
        state: tuple[Any, ...] = int(self), self.epoch, self.seed, self.origin
        state += self.fallback_indices, self.repetition, self.offset
        return SampleIndex, state

    def rng(self, stream: int) -> np.random.Generator:
        """Generator number ``stream`` of this index, epoch and seed.

        Philox is a function of (key, counter): every (seed, epoch, origin,
        stream) has its own 2^64 numbers, without any state to carry along.
        """
        key = [self.seed & _MASK, self.epoch & _MASK]
        counter = [0, stream & _MASK, self.origin & _MASK, 0]
        words = (np.array(x, dtype=np.uint64) for x in (counter, key))
        return np.random.Generator(np.random.Philox(None, *words))


@DATA_SAMPLERS.register_module()
class SeededSampler(DefaultSampler):
    """Divides the images of an epoch; no batch holds one of them twice.

    It would be its own negative. Therefore:

    - All processes get the same number of images, N // W of N; the last few
      of the order wait for another epoch. ``DefaultSampler`` hands the first
      ones out a second time instead.
    - A ``RepeatDataset`` is gone through in one order again and again.
    - Each index names seven fallbacks for an image that cannot be read. A
      batch of all processes together that is not larger than N / 2 (N / 4,
      N / 8) has no image twice as long as 1 (3, 7) fallbacks are enough.

    The order is that of ``DefaultSampler``. Views drawn from a
    :class:`SampleIndex` depend on (seed, epoch, index, view) alone: not on
    the number of workers or processes, nor on where a run was interrupted.

    Args:
        dataset: The data set to sample from.
        shuffle: Whether the order is random.
        seed: Seed of the order and the views, the same in all processes.
            Defaults to one that they agree on.
    """

    def __init__(
        self, dataset: Sized, shuffle: bool = True, seed: int | None = None
    ) -> None:
        super().__init__(dataset, shuffle, seed, round_up=False)
        self.num_samples = len(dataset) // self.world_size
        self.total_size = self.num_samples * self.world_size

    def __iter__(self) -> Iterator[SampleIndex]:
        """Iterate the indices of this process."""
        size = count_images(self.dataset)
        order = list(range(size))
        if self.shuffle:
            generator = torch.Generator().manual_seed(self.seed + self.epoch)
            order = torch.randperm(size, generator=generator).tolist()
        shifts = [int(share * size) for share in _FALLBACK_SHARES]
        for place in range(self.rank, self.total_size, self.world_size):
            fallbacks = [order[(place + shift) % size] for shift in shifts]
            # A repetition is another number for the same image.
            value = order[place % size] + place // size * size
            yield SampleIndex(
                value, self.epoch, self.seed, fallback_indices=fallbacks
            )


def without_repetition(dataset: Sized) -> Sized:
    """The data set within a ``RepeatDataset``, if it is in one."""
    while isinstance(dataset, RepeatDataset):
        dataset = dataset.dataset
    return dataset


def count_images(dataset: Sized) -> int:
    """Images of a data set, those of a ``RepeatDataset`` counted once."""
    return len(without_repetition(dataset))
