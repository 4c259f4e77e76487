"""Replace an image that cannot be read; stop if there are too many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import torch
from mmpretrain.datasets import BaseDataset

from ..utils.checks import check_number
from ..utils.errors import UserError
from ..utils.text import printable
from .images.loading import LoadImage
from .samplers import SampleIndex

# State of each file, a byte a file in memory that the workers share.
_UNTRIED, _READ, _UNREADABLE = 0, 1, 2
# Generator number for replacements; views count up from 0.
_REPLACEMENT_STREAM = 1 << 32
# Below this many unreadable files the share says nothing yet.
_MIN_UNREADABLE = 16
_LISTED = 3


class ReplaceUnreadable(BaseDataset):
    """Mix-in for data sets of image files that replaces unreadable ones.

    An image for which the pipeline gives None is replaced by another one,
    the same in every run. It is taken from the ``fallback_indices`` of the
    sampler's index, which lie far away in the order of the epoch: as long as
    they last no batch holds an image twice (:class:`SeededSampler` says how
    long that is). After them, and with samplers that give plain numbers,
    replacements are drawn at random. The run ends only if more than
    ``max_unreadable`` of the images tried cannot be read.

    Args:
        *args: Arguments of the data set.
        max_unreadable: Largest share of unreadable files that is tolerated.
        **kwargs: Arguments of the data set. With ``test_mode`` an unreadable
            image is an error; ``max_refetch`` bounds the replacements tried
            for one image.

    Raises:
        UserError: ``max_unreadable`` is no share.
        UserError: Later, if too many images cannot be read.
    """

    def __init__(
        self, *args: Any, max_unreadable: float = 0.5, **kwargs: Any
    ) -> None:
        check_number('max_unreadable', max_unreadable, 1)
        self.max_unreadable = max_unreadable
        super().__init__(*args, **kwargs)

    def full_init(self) -> None:
        """Find the files."""
        if not self._fully_initialized:
            super().full_init()
            self._reset_status()

    def get_subset_(self, indices: int | Sequence[int]) -> None:
        """Keep only some of the images."""
        super().get_subset_(indices)
        self._reset_status()

    def get_subset(self, indices: int | Sequence[int]) -> ReplaceUnreadable:
        """A data set of some of the images."""
        subset: ReplaceUnreadable = super().get_subset(indices)
        subset._reset_status()
        return subset

    def __getitem__(self, idx: int) -> Any:
        """One image through the pipeline, or its replacement."""
        self.full_init()
        if self.test_mode:
            return self._read_or_raise(idx)
        for place in islice(self._places(idx), self.max_refetch + 1):
            if (data := self.prepare_data(place)) is not None:
                self._status[place] = _READ
                return data
            self._note_unreadable(place)
        raise UserError(
            f'{self.max_refetch} replacements for {self._path(idx)} could '
            f'not be read either. {self._unreadable_list()}'
        )

    def _places(self, idx: int) -> Iterator[int]:
        """Where to look for the image, in turn."""
        yield idx
        index = idx if isinstance(idx, SampleIndex) else SampleIndex(idx, 0, 0)
        for fallback in index.fallback_indices:
            # Behind a ConcatDataset some are images of another data set.
            if 0 <= fallback < len(self):
                yield index.moved(fallback)
        draws = index.rng(_REPLACEMENT_STREAM)
        while True:
            value = int(draws.integers(len(self)))
            yield index.moved(value) if index is idx else value

    def _reset_status(self) -> None:
        status = torch.full((len(self),), _UNTRIED, dtype=torch.uint8)
        self._status = status.share_memory_()

    def _read_or_raise(self, idx: int) -> Any:
        if (data := self.prepare_data(idx)) is not None:
            return data
        raise UserError(
            f'cannot read {self._described(idx)}; in testing, images are not '
            'replaced: repair or remove it. sce data DIR finds all such files '
            'of a folder'
        )

    def _note_unreadable(self, idx: int) -> None:
        """Remember a bad file; stop if there are too many."""
        if self._status[idx] == _UNREADABLE:
            return
        self._status[idx] = _UNREADABLE
        bad = int((self._status == _UNREADABLE).sum())
        tried = int((self._status != _UNTRIED).sum())
        enough = min(_MIN_UNREADABLE, len(self))
        if bad >= enough and bad > self.max_unreadable * tried:
            found = f'none of {tried} images tried can be read'
            if bad < tried:
                found = (
                    f'{bad} of {tried} images tried cannot be read, more than '
                    f'max_unreadable={self.max_unreadable}'
                )
            raise UserError(f'{found}. {self._unreadable_list()}')

    def _unreadable_list(self) -> str:
        bad = torch.nonzero(self._status == _UNREADABLE).flatten().tolist()
        paths = ', '.join(map(self._described, bad[:_LISTED]))
        more = f' and {len(bad) - _LISTED} more' if bad[_LISTED:] else ''
        return f'Repair or remove them: {paths}{more}'

    def _described(self, idx: int) -> str:
        """Path of a bad file, and what is wrong with it."""
        first = next(iter(self.pipeline.transforms), None)
        if not isinstance(first, LoadImage):
            return self._path(idx)
        return f'{self._path(idx)} ({first.reason(self.get_data_info(idx))})'

    def _path(self, idx: int) -> str:
        return printable(self.get_data_info(idx)['img_path'])
