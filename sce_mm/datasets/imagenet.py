"""Data sets ImageNet-1k and ImageNet-100, for pretraining and evaluation."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Any, ClassVar

from mmengine import fileio
from mmpretrain.datasets import ImageNet
from mmpretrain.registry import DATASETS

from ..utils.errors import UserError
from ..utils.text import listed
from .images.file_lists import leads_out
from .labelled_images import LabelledImages

# The classes of ImageNet-100, sorted; the place of an id is its label.
_IDS = """
    n01558993 n01692333 n01729322 n01735189 n01749939 n01773797
    n01820546 n01855672 n01978455 n01980166 n01983481 n02009229
    n02018207 n02085620 n02086240 n02086910 n02087046 n02089867
    n02089973 n02090622 n02091831 n02093428 n02099849 n02100583
    n02104029 n02105505 n02106550 n02107142 n02108089 n02109047
    n02113799 n02113978 n02114855 n02116738 n02119022 n02123045
    n02138441 n02172182 n02231487 n02259212 n02326432 n02396427
    n02483362 n02488291 n02701002 n02788148 n02804414 n02859443
    n02869837 n02877765 n02974003 n03017168 n03032252 n03062245
    n03085013 n03259280 n03379051 n03424325 n03492542 n03494278
    n03530642 n03584829 n03594734 n03637318 n03642806 n03764736
    n03775546 n03777754 n03785016 n03787032 n03794056 n03837869
    n03891251 n03903868 n03930630 n03947888 n04026417 n04067472
    n04099969 n04111531 n04127249 n04136333 n04229816 n04238763
    n04336792 n04418357 n04429376 n04435653 n04485082 n04493381
    n04517823 n04589890 n04592741 n07714571 n07715103 n07753275
    n07831146 n07836838 n13037406 n13040303
"""
IMAGENET100_IDS = tuple(_IDS.split())
_WORDNET_ID = re.compile(r'n\d{8}')


@DATASETS.register_module()
class ImageNet1k(LabelledImages, ImageNet):
    """mmpretrain's ``ImageNet`` that replaces unreadable images.

    Args:
        data_root: Folder with ``train`` and ``val``, one folder a class each;
            or with ``meta/train.txt`` and ``meta/val.txt``, which hold a path
            and a label a line.
        split: ``train``, ``val`` or ``test``. In the last two an unreadable
            image is an error unless ``test_mode`` says otherwise: a measured
            accuracy must be that of the images asked for.
        **kwargs: Arguments of ``ImageNet``; ``ann_file`` names another list,
            such as one of 1 % of the images.

    Raises:
        FileNotFoundError: The images are not there; the message says where
            they belong.
        UserError: A line of the list has no label, or there are more or
            fewer class folders than classes.
    """

    def __init__(
        self,
        data_root: str = 'data/imagenet',
        split: str = 'train',
        **kwargs: Any,
    ) -> None:
        kwargs = {'test_mode': split in ('val', 'test'), **kwargs}
        super().__init__(data_root=data_root, split=split, **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Path and label of every image."""
        if not fileio.isdir(self.img_prefix):
            raise FileNotFoundError(
                f'no folder {self.img_prefix!r} (looked in {os.getcwd()}). '
                'ImageNet is not downloaded: get ILSVRC2012 from '
                f'https://image-net.org and unpack it so that {self.data_root}'
                ' has train/n01440764/*.JPEG and so on, one folder a class, '
                'and val likewise; or set data_root'
            )
        try:
            infos: list[dict[str, Any]] = super().load_data_list()
        except ValueError as error:
            if not self.ann_file:
                raise
            raise UserError(
                f'{self.ann_file}: each line must be a path relative to '
                f'{self.img_prefix}, a blank and the number of the class. '
                'sce imagenet-subset makes such a '
                'list from bare file names'
            ) from error
        root = fileio.join_path(self.img_prefix, '')
        for path in (info['img_path'] for info in infos):
            if leads_out(path.removeprefix(root)):
                raise UserError(
                    f'{self.ann_file}: {path!r} leads out of '
                    f'{self.img_prefix!r}; write paths relative to it'
                )
        return infos


@DATASETS.register_module()
class ImageNet100(ImageNet1k):
    """The 100 classes of ImageNet-100 among the folders of ImageNet.

    The list of classes holds for every split, and a label is the place of the
    class in the list, whatever other classes there are: a folder of all 1000
    will do.

    Args:
        *args: Arguments of ``ImageNet1k``.
        **kwargs: As for ``ImageNet1k``. A list may name files without the
            folder of their class if ``train`` has all 1000 folders.

    Raises:
        FileNotFoundError: A class has no image.
        UserError: A line of a list tells no class.
    """

    METAINFO: ClassVar = {'classes': IMAGENET100_IDS}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{'folders': IMAGENET100_IDS, **kwargs})

    def load_data_list(self) -> list[dict[str, Any]]:
        """Path and label of every image of the 100 classes."""
        infos = super().load_data_list()
        if not self.ann_file:
            return infos
        labels = {name: i for i, name in enumerate(IMAGENET100_IDS)}
        folders: Sequence[str] = ()
        kept = []
        for info in infos:
            folder = os.path.basename(os.path.dirname(info['img_path']))
            if not _WORDNET_ID.fullmatch(folder):
                folders = folders or self._all_classes()
                folder = folders[info['gt_label']]
            if folder in labels:
                kept.append({**info, 'gt_label': labels[folder]})
        return kept

    def _class_folders(self) -> list[str]:
        folders = super()._class_folders()
        return [name for name in folders if name in IMAGENET100_IDS]

    def _check_folders(self, own: Sequence[str], names: Sequence[str]) -> None:
        """Check that all 100 classes are there; other folders may be too."""
        if missing := sorted(set(names) - set(own)):
            raise FileNotFoundError(
                f'{len(missing)} of the {len(names)} classes of ImageNet-100 '
                f'have no images in {self.img_prefix!r}: {listed(missing)}. '
                'Each is a folder of that name; a flat folder of images needs '
                'a list of paths and labels, '
                f'meta/{os.path.basename(self.img_prefix)}.txt'
            )

    def _all_classes(self) -> list[str]:
        """The 1000 ids in order, as the folders of the training images."""
        train = fileio.join_path(self.data_root, 'train')
        names = fileio.list_dir_or_file(train, list_file=False)
        folders = sorted(filter(_WORDNET_ID.fullmatch, names))
        if len(folders) != 1000:
            raise UserError(
                f'{self.ann_file} has paths without the folder of their '
                'class, and their labels can be understood only with the 1000 '
                f'class folders in {train!r}, which has {len(folders)}: write '
                'paths like n01558993/name.JPEG'
            )
        return folders
