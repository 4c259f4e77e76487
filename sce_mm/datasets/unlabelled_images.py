"""Data set of unlabelled images: folders, tar files, or a list of either."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from mmpretrain.registry import DATASETS

from ..utils.errors import UserError
from .images.file_lists import IMAGE_EXTENSIONS, find_images, read_image_list
from .replacement import ReplaceUnreadable


@DATASETS.register_module()
class UnlabelledImages(ReplaceUnreadable):
    """Images for pretraining: folders, tar files (shards), or a list.

    Args:
        data_root: A folder, or several, searched with all sub-folders; a
            folder of tar files, or some of these, whose images are read
            where they are (:mod:`.images.shards`); or the folder that the
            paths of ``ann_file`` are relative to.
        ann_file: Text file with one path a line, or a JSON list of paths,
            which holds names with line breaks too; relative to ``data_root``
            unless absolute. The paths are those of images or of tar files.
            Defaults to searching the folders.
        extensions: What counts as an image in a folder, in any case.
        **kwargs: Arguments of :class:`ReplaceUnreadable`, such as
            ``pipeline``, which begins with ``dict(type='LoadImage')``.

    Raises:
        FileNotFoundError: No folder, list or image where they should be.
        UserError: Arguments that do not fit together.
        UserError: A tar file is compressed, damaged or cut off.
        UserError: Later, if too many images cannot be read.
    """

    def __init__(
        self,
        data_root: str | Sequence[str] = '',
        ann_file: str = '',
        extensions: Sequence[str] = IMAGE_EXTENSIONS,
        **kwargs: Any,
    ) -> None:
        roots = [data_root] if isinstance(data_root, str) else list(data_root)
        self.roots = [os.path.expanduser(root) for root in roots]
        self.list_file = ann_file and os.path.expanduser(ann_file)
        self.extensions = tuple(extensions)
        if not ann_file and not any(self.roots):
            raise UserError(
                'UnlabelledImages needs data_root (a folder of images, or '
                'several) or ann_file (a list of paths); got neither'
            )
        if ann_file and len(self.roots) > 1:
            raise UserError(
                f'ann_file goes with one data_root, got {len(self.roots)}'
            )
        super().__init__(ann_file='', **kwargs)

    def load_data_list(self) -> list[dict[str, str]]:
        """Paths of all images."""
        if self.list_file:
            root = self.roots[0]
            paths = read_image_list(os.path.join(root, self.list_file), root)
        else:
            paths = find_images(self.roots, self.extensions)
        return [{'img_path': path} for path in paths]
