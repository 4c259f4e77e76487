"""Read CIFAR-10 and CIFAR-100 from local files, in BGR."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from mmengine import fileio
from mmpretrain.datasets import CIFAR10, CIFAR100
from mmpretrain.datasets.utils import check_md5
from mmpretrain.registry import DATASETS

from ..utils.errors import UserError


@DATASETS.register_module()
class CIFAR10BGR(CIFAR10):
    """mmpretrain's ``CIFAR10`` that gives BGR and never downloads.

    mmpretrain's class gives RGB, unlike every loader of image files.
    ``SCEViews`` weighs the channels by their place, ``to_rgb=True`` of a
    preprocessor swaps them, and the order that a checkpoint states for a
    detector follows from that swap, so the images are swapped here.

    Args:
        data_root: Folder that holds the unpacked ``cifar-10-batches-py``.
        *args: ``split``: ``train`` or ``test``.
        **kwargs: Arguments of mmpretrain's ``BaseDataset``.

    Raises:
        FileNotFoundError: A file is missing; the message says where it
            belongs.
        UserError: A file is not the published one.
    """

    def __init__(
        self, data_root: str = 'data/cifar10', *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(data_root, *args, download=False, **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Image [32, 32, 3] uint8 BGR and label of every sample."""
        root = self.data_prefix['root']
        for name, md5 in self.train_list + self.test_list:
            path = fileio.join_path(root, self.base_folder, name)
            if not fileio.exists(path):
                raise FileNotFoundError(
                    f'no file {path!r} (looked in {os.getcwd()}). Nothing is '
                    f'downloaded: put {self.filename} from {self.url} into '
                    f'{root} and unpack it there (tar -xzf {self.filename}), '
                    'or set data_root'
                )
            if md5 is not None and not check_md5(path, md5):
                raise UserError(
                    f'{path!r} is not the published file (its MD5 is not '
                    f'{md5}): unpack {self.filename} from {self.url} again'
                )
        return [
            {**info, 'img': np.ascontiguousarray(info['img'][..., ::-1])}
            for info in super().load_data_list()
        ]

    def _check_integrity(self) -> bool:
        """The files were checked before, with better messages."""
        return True


@DATASETS.register_module()
class CIFAR100BGR(CIFAR10BGR, CIFAR100):
    """CIFAR-100 with its fine labels; the rest is :class:`CIFAR10BGR`.

    Args:
        data_root: Folder that holds the unpacked ``cifar-100-python``.
        *args: As of :class:`CIFAR10BGR`.
        **kwargs: As of :class:`CIFAR10BGR`.
    """

    def __init__(
        self, data_root: str = 'data/cifar100', *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(data_root, *args, **kwargs)
