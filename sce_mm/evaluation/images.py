"""Read folders of images with the crop of an evaluation protocol."""

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from mmpretrain.registry import DATASETS
from torch.utils.data import Subset

from ..datasets.images.file_lists import is_image_list
from ..datasets.images.shards import is_shard
from ..utils.errors import UserError


def crop_pipeline(
    resize: int,
    crop: int,
    interpolation: str = 'bilinear',
    apply_orientation: bool = False,
    stretch: Sequence[float] | None = None,
) -> list[dict[str, Any]]:
    """Shorter side to ``resize`` pixels, then the central square of ``crop``.

    Pillow resizes, as in the protocols: it filters where OpenCV would skip
    pixels.

    ``apply_orientation`` turns images as their EXIF tag says; the loaders of
    the protocols do not. ``stretch`` is that of ``LoadImage``.

    Raises:
        UserError: The square is larger than the resized image.
    """
    if not 0 < crop <= resize:
        raise UserError(
            'crop must be positive and at most the shorter side, which is '
            f'resize; got {crop} of {resize}'
        )
    load = dict(apply_orientation=apply_orientation, stretch=stretch)
    edge = dict(edge='short', backend='pillow', interpolation=interpolation)
    return [
        dict(type='LoadImage', **load),
        dict(type='ResizeEdge', scale=resize, **edge),
        dict(type='CenterCrop', crop_size=crop),
        dict(type='PackInputs'),
    ]


def resized_side(crop: int) -> int:
    """Shorter side of images of which a square is cut.

    Images of up to 96 pixels have no border to cut off.

    >>> resized_side(224), resized_side(32)
    (256, 32)
    """
    return crop if crop <= 96 else crop * 8 // 7


class FolderImages(NamedTuple):
    """One view of each image of a folder, its file, and its class if any.

    Labels are indices into the names of the classes; both may be empty.
    """

    dataset: Any
    paths: list[str]
    labels: list[int]
    classes: list[str]

    def take(self, numbers: Sequence[int]) -> 'FolderImages':
        """Some of the images, in this order."""
        return self._replace(
            dataset=Subset(self.dataset, numbers),
            paths=[self.paths[number] for number in numbers],
            labels=[self.labels[n] for n in numbers] if self.labels else [],
        )


def read_folder(
    root: str,
    pipeline: list[dict[str, Any]],
    limit: int | None = None,
    labelled: bool = True,
    seed: int = 0,
) -> FolderImages:
    """Images of a folder with all sub-folders, or of a list.

    Of more than ``limit`` images that many are taken at random, in the order
    of the folder. ``labelled`` makes classes, see :func:`classes_of`.

    Raises:
        FileNotFoundError: There is no such folder, or no image in it.
        UserError: The limit is not positive.
    """
    if limit is not None and limit < 1:
        raise UserError(f'at least one image is needed, got {limit}')
    config = dict(type='UnlabelledImages', data_root=root, pipeline=pipeline)
    if is_image_list(root):
        config |= dict(data_root='', ann_file=os.path.expanduser(root))
        # Folders of a list are no classes.
        labelled = False
    # In test mode an unreadable image raises instead of being replaced.
    dataset = DATASETS.build(config | dict(test_mode=True))
    if limit is not None and limit < len(dataset):
        chosen = np.random.default_rng(seed).permutation(len(dataset))[:limit]
        dataset = dataset.get_subset(sorted(chosen.tolist()))
    paths = [dataset.get_data_info(i)['img_path'] for i in range(len(dataset))]
    labels, classes = classes_of(root, paths) if labelled else ([], [])
    return FolderImages(dataset, paths, labels, classes)


def classes_of(root: str, paths: Sequence[str]) -> tuple[list[int], list[str]]:
    """Label of each image, and names of the classes.

    The classes are the sub-folders of the root, if there are two at least
    and no image lies beside them; otherwise there are none.
    """
    parts = [os.path.relpath(path, root).split(os.sep) for path in paths]
    # A tar among others is no class.
    parts = [part[is_shard(part[0]) :] for part in parts]
    folders = sorted({part[0] for part in parts})
    if len(folders) < 2 or any(len(part) == 1 for part in parts):
        return [], []
    index = {name: i for i, name in enumerate(folders)}
    return [index[part[0]] for part in parts], folders
