"""A sampler whose indices say which epoch and seed they belong to."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from mmengine.dataset import DefaultSampler
from mmpretrain.registry import DATA_SAMPLERS

_MASK = (1 << 64) - 1


class SampleIndex(int):
    """An index that also carries what a random draw for it depends on.

    Dataset wrappers compute with indices (``ConcatDataset`` subtracts,
    ``RepeatDataset`` takes the remainder); the result still carries the
    epoch, the seed and ``origin``, the number that the sampler gave out.
    Hence two repetitions of an image within an epoch get different views.

    Args:
        value: The index.
        epoch: Epoch of the sampler.
        seed: Seed of the sampler.
        origin: Index as the sampler gave it out. Defaults to ``value``.
    """

    epoch: int
    seed: int
    origin: int

    def __new__(
        cls, value: int, epoch: int, seed: int, origin: int | None = None
    ) -> SampleIndex:
        """Make the integer, then hang the rest on it."""
        self = super().__new__(cls, value)
        self.epoch = int(epoch)
        self.seed = int(seed)
        self.origin = int(value) if origin is None else int(origin)
        return self

    def moved(self, value: int) -> SampleIndex:
        """The same draw for another place in a dataset."""
        return SampleIndex(value, self.epoch, self.seed, self.origin)

    def __add__(self, other: int) -> SampleIndex:
        return self.moved(int(self) + int(other))

    __radd__ = __add__

    def __sub__(self, other: int) -> SampleIndex:
        return self.moved(int(self) - int(other))

    def __mod__(self, other: int) -> SampleIndex:
        return self.moved(int(self) % int(other))

    def __reduce__(self) -> tuple[type[SampleIndex], tuple[int, ...]]:
        return (
            SampleIndex,
            (int(self), self.epoch, self.seed, self.origin),
        )

    def rng(self, stream: int) -> np.random.Generator:
        """Generator number ``stream`` of this index, epoch and seed.

        Philox is a function of (key, counter): every (seed, epoch, origin,
        stream) has its own 2^64 numbers, without any state to carry along.
        """
        key = [self.seed & _MASK, self.epoch & _MASK]
        counter = [0, stream & _MASK, self.origin & _MASK, 0]
        return np.random.Generator(
            np.random.Philox(
                key=np.array(key, dtype=np.uint64),
                counter=np.array(counter, dtype=np.uint64),
            )
        )


@DATA_SAMPLERS.register_module()
class SeededSampler(DefaultSampler):
    """mmengine's ``DefaultSampler`` giving out :class:`SampleIndex`.

    Views drawn from such an index depend on (seed, epoch, index, view) and on
    nothing else: not on the number of workers or processes, nor on where the
    run was interrupted. Order, shuffling and the share of each process are
    those of ``DefaultSampler``, and so are the arguments.
    """

    def __iter__(self) -> Iterator[SampleIndex]:
        """Iterate the indices of this process."""
        for index in super().__iter__():
            yield SampleIndex(index, self.epoch, self.seed)
