"""Read STL-10 from its binary files."""

from __future__ import annotations

import os
from functools import cache
from typing import Any, ClassVar

import numpy as np
from mmpretrain.datasets import BaseDataset
from mmpretrain.registry import DATASETS
from numpy.typing import NDArray

from ..utils.errors import UserError

# Images of each split.
SPLITS = {'unlabeled': 100_000, 'train': 5000, 'test': 8000}
_SHAPE = (3, 96, 96)
_ARCHIVE = 'stl10_binary.tar.gz'
_URL = f'http://ai.stanford.edu/~acoates/stl10/{_ARCHIVE}'


@DATASETS.register_module()
class STL10(BaseDataset):
    """STL-10, which mmpretrain lacks: images of 96 pixels, ten classes.

    The images stay in their file, of which each worker maps the same memory;
    the unlabelled ones are 2.8 GB.

    Args:
        data_root: Folder that holds the unpacked ``stl10_binary``.
        split: ``unlabeled``, ``train`` or ``test``.
        **kwargs: Arguments of mmpretrain's ``BaseDataset``. The images that
            a pipeline gets are there already, uint8 BGR.

    Raises:
        FileNotFoundError: A file is missing; says what goes where.
        UserError: There is no such split, or a file has another size.
    """

    METAINFO: ClassVar = {
        'classes': (
            *('airplane', 'bird', 'car', 'cat', 'deer', 'dog', 'horse'),
            *('monkey', 'ship', 'truck'),
        )
    }

    def __init__(
        self,
        data_root: str = 'data/stl10',
        split: str = 'unlabeled',
        **kwargs: Any,
    ) -> None:
        if split not in SPLITS:
            raise UserError(
                f'split must be one of {", ".join(SPLITS)}, got {split!r}'
            )
        self.split = split
        super().__init__(ann_file='', data_root=data_root, **kwargs)

    def load_data_list(self) -> list[dict[str, int]]:
        """Place in the file, and label from 0 where there is one."""
        path = self._find(f'{self.split}_X.bin')
        count = SPLITS[self.split]
        size = count * int(np.prod(_SHAPE))
        if os.path.getsize(path) != size:
            raise UserError(
                f'{path!r} must have {size} bytes for {count} images, but '
                f'has {os.path.getsize(path)}: unpack the archive again'
            )
        if self.split == 'unlabeled':
            return [{'place': i} for i in range(count)]
        labels = np.fromfile(self._find(f'{self.split}_y.bin'), np.uint8)
        if len(labels) != count or not np.isin(labels, range(1, 11)).all():
            raise UserError(
                f'{self.split}_y.bin must have a label from 1 to 10 for each '
                f'of {count} images: unpack the archive again'
            )
        numbered = enumerate(labels.tolist())
        return [{'place': i, 'gt_label': n - 1} for i, n in numbered]

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """What is known of a sample, its image [96, 96, 3] uint8 BGR too."""
        info: dict[str, Any] = super().get_data_info(idx)
        images = _map_images(self._find(f'{self.split}_X.bin'))
        # [channel RGB, column, row] in the file.
        image = images[info.pop('place')].transpose(2, 1, 0)[..., ::-1]
        return {**info, 'img': np.ascontiguousarray(image)}

    def _find(self, name: str) -> str:
        path = os.path.join(self.data_root, 'stl10_binary', name)
        if not os.path.isfile(path):
            raise FileNotFoundError(
                f'no file {path!r} (looked in {os.getcwd()}). Nothing is '
                f'downloaded: put {_ARCHIVE} from {_URL} into '
                f'{self.data_root} and unpack it there (tar -xzf {_ARCHIVE}), '
                'or set data_root'
            )
        return path


@cache
def _map_images(path: str) -> NDArray[np.uint8]:
    """All images of a file, mapped once in each process."""
    return np.memmap(path, np.uint8, 'r').reshape(-1, *_SHAPE)
