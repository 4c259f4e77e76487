"""Data set of class folders whose classes are compared by name."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

from mmengine import fileio
from mmpretrain.datasets import CustomDataset
from mmpretrain.registry import DATASETS

from ..utils.errors import UserError
from ..utils.progress import warn
from ..utils.text import counted, listed
from .images.file_lists import IMAGE_EXTENSIONS, is_hidden
from .replacement import ReplaceUnreadable


@DATASETS.register_module()
class LabelledImages(ReplaceUnreadable, CustomDataset):
    """mmpretrain's ``CustomDataset`` with class folders known by name.

    Without a list (``ann_file``) each folder with an image in it is a class.
    Hidden folders and files do not count, and links lead into no folder twice
    nor into another class. The log names what is left out, and
    the classes of ``folders`` without an image here.

    Args:
        folders: Names of the class folders in the order of their labels, if
            those of another data set are to be shared. Defaults to
            ``classes``, if that names the folders, else to the folders here,
            sorted.
        extensions: File name extensions of images, in any case.
        **kwargs: Arguments of ``CustomDataset``. Unreadable images are
            replaced, or an error with ``test_mode``.

    Raises:
        FileNotFoundError: There are no images in class folders.
        UserError: A folder is not among ``folders``, or ``classes`` are not
            as many as the folders.
    """

    def __init__(
        self,
        folders: Sequence[str] | None = None,
        extensions: Sequence[str] = IMAGE_EXTENSIONS,
        **kwargs: Any,
    ) -> None:
        self._folders = folders
        super().__init__(extensions=extensions, **kwargs)

    def label_names(self) -> list[str]:
        """Names of the class folders in the order of their labels."""
        return self._in_order(list(self._files_of_folders()))

    def is_valid_file(self, filename: str) -> bool:
        """Whether a path below a class folder is an image to take."""
        return super().is_valid_file(filename) and not any(
            map(is_hidden, filename.split('/'))
        )

    def _find_samples(self) -> list[Any]:
        """Path and label of every image of the folders."""
        if not self.with_label:
            return list(super()._find_samples())
        files = self._files_of_folders()
        own, names = list(files), self._in_order(list(files))
        self._check_folders(own, names)
        if self.CLASSES is None:
            self._metainfo['classes'] = tuple(names)
        empty = [name for name in self._class_folders() if name not in own]
        absent = [name for name in names if name not in own]
        beside = len(self._images(''))
        spare = counted(beside, 'image')
        for found, message in (
            (empty, f'no image in the folders {listed(empty)}: no classes'),
            (absent, f'no images of the classes {listed(absent)}'),
            (beside, f'{spare} beside the class folders left out'),
        ):
            if found:
                warn(f'{self.img_prefix}: {message}')
        return [
            (f'{name}/{file}', label)
            for label, name in enumerate(names)
            for file in files.get(name, ())
        ]

    def _check_folders(self, own: Sequence[str], names: Sequence[str]) -> None:
        """Raise unless the folders here are those of the classes."""
        if foreign := sorted(set(own) - set(names)):
            raise UserError(
                f'{self.img_prefix} has folders of classes that are unknown '
                f'elsewhere: {listed(foreign)}. Known are {listed(names)}; '
                'classes are compared by the names of their folders'
            )
        if self.CLASSES is not None and len(self.CLASSES) != len(names):
            raise UserError(
                f'{self.img_prefix} has {len(names)} class folders '
                f'({listed(names)}), but classes names {len(self.CLASSES)} '
                f'({listed(self.CLASSES)}): complete the folders, or name '
                "their classes with metainfo={'classes': [...]}"
            )

    def _files_of_folders(self) -> dict[str, list[str]]:
        """The images of each folder that has some, both sorted."""
        folders = self._class_folders()
        if '://' in self.img_prefix:
            found = {x: self._images(x, recursive=True) for x in folders}
        else:
            places = {x: os.path.join(self.img_prefix, x) for x in folders}
            # A link in a class brings no images of another one.
            known = {*map(_identity, (self.img_prefix, *places.values()))}
            found = {
                name: sorted(
                    filter(
                        self.is_valid_file,
                        _files_below(place, known - {_identity(place)}),
                    )
                )
                for name, place in places.items()
            }
        if not any(found.values()):
            raise FileNotFoundError(
                f'no image in class folders in {self.img_prefix!r}: expected '
                'a folder for each class with images of '
                f'{" ".join(sorted(self.extensions))}, found '
                f'{listed(folders) or "no folder"}'
            )
        return {name: files for name, files in found.items() if files}

    def _in_order(self, own: list[str]) -> list[str]:
        if self._folders is not None:
            return list(self._folders)
        # Else they are names to show, in the order of the folders.
        if self.CLASSES is not None and set(own) <= set(self.CLASSES):
            return list(self.CLASSES)
        return own

    def _class_folders(self) -> list[str]:
        names = self._entries('', list_file=False)
        return [name for name in names if not is_hidden(name)]

    def _images(self, folder: str, recursive: bool = False) -> list[str]:
        names = self._entries(folder, list_dir=False, recursive=recursive)
        return list(filter(self.is_valid_file, names))

    def _entries(self, folder: str, **kinds: bool) -> list[str]:
        place = fileio.join_path(self.img_prefix, folder)
        return sorted(fileio.list_dir_or_file(place, **kinds))


def _files_below(folder: str, visited: set[tuple[int, int]]) -> Iterator[str]:
    """Paths below a folder, relative to it; no folder is entered twice."""
    if (identity := _identity(folder)) in visited:
        return
    visited.add(identity)
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                for file in _files_below(entry.path, visited):
                    yield f'{entry.name}/{file}'
            elif entry.is_file():
                yield entry.name


def _identity(folder: str) -> tuple[int, int]:
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def share_labels(reference: Any, *others: Any) -> list[str]:
    """Give class folders of the same name the same label everywhere.

    All ``CustomDataset`` in the configs become :class:`LabelledImages`, those
    in the others with ``test_mode``: an accuracy is that of the images asked
    for.

    Args:
        reference: Config of a data set, perhaps in wrappers. Its class
            folders are the classes.
        *others: Configs of data sets, changed in place like the first.

    Returns:
        Names of the class folders of the reference, if it has any.

    Raises:
        FileNotFoundError: The reference has no images in class folders.
    """
    names: dict[str, None] = {}
    for leaf in _labelled_leaves(reference):
        if not leaf.get('ann_file'):
            lazy = {**leaf, 'pipeline': [], 'lazy_init': True}
            names |= dict.fromkeys(DATASETS.build(lazy).label_names())
    for config in (reference, *others):
        for leaf in _labelled_leaves(config):
            if config is not reference:
                leaf['test_mode'] = True
            if names and not leaf.get('ann_file'):
                leaf['folders'] = list(names)
    return list(names)


def _labelled_leaves(config: Any) -> Iterator[Any]:
    """Labelled images within wrappers, made data sets of this kind."""
    if not isinstance(config, dict):
        return
    for inner in (config.get('dataset'), *(config.get('datasets') or ())):
        yield from _labelled_leaves(inner)
    kind = config.get('type')
    if isinstance(kind, str):
        kind = DATASETS.get(kind)
    if kind in (CustomDataset, LabelledImages) and config.get(
        'with_label', True
    ):
        config['type'] = 'mmpretrain.LabelledImages'
        yield config
