"""Any folder of images as a data set, without a label anywhere."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmpretrain.datasets import BaseDataset
from mmpretrain.registry import DATASETS

from .file_lists import IMAGE_EXTENSIONS, find_images, read_image_list
from .samplers import SampleIndex

# What is known of each file, a byte a file in memory shared by the workers.
_UNTRIED, _READ, _UNREADABLE = 0, 1, 2
# Generator number for replacements; views count up from 0.
_REPLACEMENT_STREAM = 1 << 32
# Below this many unreadable files the share says nothing yet.
_MIN_UNREADABLE = 16
_LISTED = 10


@DATASETS.register_module()
class UnlabelledImages(BaseDataset):
    """Images for pretraining: folders, or a list of files.

    An unreadable image is replaced by another one, drawn from (seed, epoch,
    index, attempt) and hence the same in every run. The run ends only if
    more than ``max_unreadable`` of the images tried cannot be read.

    Args:
        data_root: A folder, or several, searched with all sub-folders; or
            the folder that the paths of ``ann_file`` are relative to.
        ann_file: Text file with one path a line; relative to ``data_root``
            unless absolute. Defaults to searching the folders.
        pipeline: Transforms, beginning with ``dict(type='LoadImage')``.
        extensions: What counts as an image in a folder, in any case.
        max_unreadable: Largest share of unreadable files put up with.
        indices: Take the first or last few, or those named.
        serialize_data: Keep paths as bytes that workers share.
        test_mode: Raise for an unreadable image instead of replacing it.
        lazy_init: Find the files at first use instead of at once.
        max_refetch: Replacements tried for one image.

    Raises:
        FileNotFoundError: No folder, list or image where they should be.
        ValueError: Arguments that do not fit together.
        RuntimeError: Later, if too many images cannot be read.
    """

    def __init__(
        self,
        data_root: str | Sequence[str] = '',
        ann_file: str = '',
        pipeline: Sequence[dict[str, Any] | Callable[..., Any]] = (),
        extensions: Sequence[str] = IMAGE_EXTENSIONS,
        max_unreadable: float = 0.5,
        indices: int | Sequence[int] | None = None,
        serialize_data: bool = True,
        test_mode: bool = False,
        lazy_init: bool = False,
        max_refetch: int = 100,
    ) -> None:
        roots = [data_root] if isinstance(data_root, str) else list(data_root)
        self.roots = [os.path.expanduser(root) for root in roots]
        self.list_file = ann_file and os.path.expanduser(ann_file)
        self.extensions = tuple(extensions)
        self.max_unreadable = max_unreadable
        if not ann_file and not any(self.roots):
            raise ValueError(
                'UnlabelledImages needs data_root (a folder of images, or '
                'several) or ann_file (a list of paths); got neither'
            )
        if ann_file and len(self.roots) > 1:
            raise ValueError(
                f'ann_file goes with one data_root, got {len(self.roots)}'
            )
        if not 0 <= max_unreadable <= 1:
            raise ValueError(
                f'max_unreadable must be in [0, 1], got {max_unreadable}'
            )
        super().__init__(
            ann_file='',
            indices=indices,
            serialize_data=serialize_data,
            pipeline=pipeline,
            test_mode=test_mode,
            lazy_init=lazy_init,
            max_refetch=max_refetch,
        )

    def load_data_list(self) -> list[dict[str, str]]:
        """Paths of all images."""
        if self.list_file:
            root = self.roots[0]
            list_file = os.path.join(root, self.list_file)
            paths = read_image_list(list_file, root)
        else:
            paths = find_images(self.roots, self.extensions)
        return [{'img_path': path} for path in paths]

    def full_init(self) -> None:
        """Find the files."""
        if not self._fully_initialized:
            super().full_init()
            self._forget()

    def get_subset_(self, indices: int | Sequence[int]) -> None:
        """Keep only some of the images."""
        super().get_subset_(indices)
        self._forget()

    def get_subset(self, indices: int | Sequence[int]) -> UnlabelledImages:
        """A data set of some of the images."""
        subset: UnlabelledImages = super().get_subset(indices)
        subset._forget()
        return subset

    def __getitem__(self, idx: int) -> Any:
        """One image through the pipeline, or its replacement."""
        self.full_init()
        if self.test_mode:
            return self._read_or_raise(idx)
        index = idx if isinstance(idx, SampleIndex) else SampleIndex(idx, 0, 0)
        draws = index.rng(_REPLACEMENT_STREAM)
        place = idx
        for _ in range(self.max_refetch + 1):
            data = self.prepare_data(place)
            if data is not None:
                self._status[place] = _READ
                return data
            self._note_unreadable(place)
            value = int(draws.integers(len(self)))
            place = index.moved(value) if index is idx else value
        raise RuntimeError(
            f'{self.max_refetch} replacements for {self._path(idx)} could '
            f'not be read either. {self._unreadable_list()}'
        )

    def extra_repr(self) -> list[str]:
        """What ``repr`` says beside the number of images."""
        return [f'Folders: \t{", ".join(self.roots)}', *self._list_repr()]

    def _list_repr(self) -> list[str]:
        return [f'List: \t{self.list_file}'] if self.list_file else []

    def _forget(self) -> None:
        self._status = torch.full(
            (len(self),), _UNTRIED, dtype=torch.uint8
        ).share_memory_()

    def _read_or_raise(self, idx: int) -> Any:
        data = self.prepare_data(idx)
        if data is None:
            raise RuntimeError(
                f'cannot read {self._path(idx)}; mend or remove the file '
                '(in testing, images are not replaced)'
            )
        return data

    def _note_unreadable(self, idx: int) -> None:
        """Remember a bad file; stop if there are too many."""
        if self._status[idx] == _UNREADABLE:
            return
        self._status[idx] = _UNREADABLE
        bad = int((self._status == _UNREADABLE).sum())
        tried = int((self._status != _UNTRIED).sum())
        enough = min(_MIN_UNREADABLE, len(self))
        if bad >= enough and bad > self.max_unreadable * tried:
            raise RuntimeError(
                f'{bad} of {tried} images tried cannot be read, more than '
                f'max_unreadable={self.max_unreadable}. '
                f'{self._unreadable_list()}'
            )

    def _unreadable_list(self) -> str:
        bad = torch.nonzero(self._status == _UNREADABLE).flatten().tolist()
        paths = '\n  '.join(self._path(idx) for idx in bad[:_LISTED])
        more = f'\n  and {len(bad) - _LISTED} more' if bad[_LISTED:] else ''
        return f'Mend or remove these files:\n  {paths}{more}'

    def _path(self, idx: int) -> str:
        return str(self.get_data_info(idx)['img_path'])
