"""The task of a comparison of segmentors: folders of masks, mIoU, maps."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmseg.registry import DATASETS, METRICS
from numpy.typing import NDArray

from ...comparison import Measure, Settings, Task
from ...config.rate_batch import batch_of_rate
from ...datasets.labels.mask_labels import (
    MaskFolders,
    SeenMasks,
    read_masks,
)
from ...datasets.labels.subsets import choose_part
from ...downstream import BackboneFile, ConfigEdits
from ...utils.durable_files import write_durably
from ...utils.hashes import hash_of
from ...utils.text import listed
from ..classes import class_problems
from ..segmentor import adapt
from .examples import segmentation_examples
from .labels import use_labels

# By how much a segmentor must be better than one that gives all pixels the
# same class.
_MARGIN = 1.0


class Segmentation(Task):
    """Segmentors of mmseg on folders of masks, by their mIoU.

    Args:
        settings: What the comparison is asked for.
        classes: Names of the classes in the order of their numbers.
        image_suffix: End of the names of images.
        mask_suffix: What stands in its place in the names of masks.
        reduce_zero_label: Whether 0 does not count and 1 is the first class.

    Attributes:
        folders: Where images and masks of ``train`` and ``val`` lie.
        pixels: Pixels of each class, by the name of the image, in both.
        seen: What need not be read again when the command goes on.
    """

    predictor = 'segmentor'
    scope = 'mmseg'
    maker = 'sce segmentor'
    columns = ('mIoU', 'mAcc', 'aAcc')
    predictions = 'predictions'
    class_problems = staticmethod(class_problems)
    # No objects are counted in masks.
    objects = 0.0

    def __init__(
        self,
        settings: Settings,
        classes: Sequence[str],
        image_suffix: str = '.jpg',
        mask_suffix: str = '.png',
        reduce_zero_label: bool = False,
    ) -> None:
        super().__init__(settings)
        self.classes = [*classes]
        how = image_suffix, mask_suffix, reduce_zero_label
        self.folders = {
            'train': MaskFolders(settings.train_images, settings.train, *how),
            'val': MaskFolders(settings.val_images, settings.val, *how),
        }
        self.pixels: dict[str, dict[str, NDArray[np.int64]]] = {}
        self.seen: dict[str, SeenMasks] = {}

    @property
    def measure(self) -> Measure:
        """The mIoU; below that of a single class nothing was learned."""
        constant = constant_miou(self._total('val'))
        return Measure(
            'mIoU',
            self.predictor,
            constant + _MARGIN,
            # Hundredths of a per cent.
            step=0.01,
            note=f'; one class for all pixels has {constant:.1f}',
        )

    def train_images(self) -> list[str]:
        """Paths of the labelled training images."""
        return self._images('train')

    def val_images(self) -> list[str]:
        """Paths of the validation images."""
        return self._images('val')

    def _images(self, part: str) -> list[str]:
        given, names = self.folders[part], self.pixels[part]
        return [str(given.images / f'{n}{given.img_suffix}') for n in names]

    def read(self) -> list[str]:
        """Read all masks, and list all that is wrong with them."""
        problems = []
        for part, given in self.folders.items():
            missing = [
                f'--{option}: there is no folder {folder}'
                for option, folder in (
                    (part, given.masks),
                    (f'{part}-images', given.images),
                )
                if not folder.is_dir()
            ]
            if missing:
                problems += missing
                continue
            self.seen[part] = self._read_seen(part)
            self.pixels[part], found = read_masks(
                given, self.classes, seen=self.seen[part]
            )
            if not self.pixels[part] and not _images(given):
                found = [f'{line} (--image-suffix)' for line in found]
            problems += [f'--{part}: {line}' for line in found]
            if odd := [n for n in self.pixels[part] if not _fits_a_line(n)]:
                problems.append(
                    f'{given.images}: expected names in UTF-8 that begin and '
                    f'end with no blank and have no line break; {len(odd)} of '
                    f'{len(self.pixels[part])} differ, first {odd[0]!r}'
                )
        return problems

    def notes(self) -> Iterator[str]:
        """Classes that only a part of the labels has."""
        for part, meaning in (
            ('train', 'cannot be learned'),
            ('val', 'do not count in the mIoU unless they are predicted'),
        ):
            total = self._total(part)
            absent = [
                name
                for name, count in zip(self.classes, total, strict=True)
                if not count
            ]
            if absent:
                yield (
                    f'--{part}: no pixel is {listed(absent)}: such classes '
                    f'{meaning}'
                )

    def inputs(self) -> dict[str, Any]:
        """Hashes of the masks, and how these are read."""
        for part, seen in self.seen.items():
            write_durably(self._seen_file(part), json.dumps(seen).encode())
        found = {
            f'--{part}': _hash_of_masks(given, self.pixels[part])
            for part, given in self.folders.items()
        }
        given = self.folders['train']
        return found | {
            '--classes': self.classes,
            '--reduce-zero-label': given.reduce_zero_label,
            '--image-suffix': given.img_suffix,
            '--mask-suffix': given.seg_map_suffix,
        }

    def use_labels(self, edits: ConfigEdits) -> None:
        """Point a segmentor's config at the masks."""
        use_labels(edits, self.folders, self.classes)

    def adapt(
        self, cfg: Config, file: BackboneFile
    ) -> tuple[ConfigEdits, str]:
        """Change a segmentor's config so that it uses a file rightly."""
        return adapt(cfg, file, rate_batch=batch_of_rate(self.config, cfg))

    def evaluate_one(self, cfg: Config) -> None:
        """Evaluate the labels of one image as if they had been predicted."""
        with self.explained('val_dataloader.dataset'):
            dataset = DATASETS.build(cfg.val_dataloader.dataset)
            sample = dataset[0]['data_samples'].to_dict()
        with self.explained('val_evaluator'):
            metric = METRICS.build(dict(cfg.val_evaluator))
            metric.dataset_meta = dataset.metainfo
            sample['pred_sem_seg'] = sample['gt_sem_seg']
            metric.process({}, [sample])
            metric.evaluate(1)

    def labels(self, percent: float, seed: int) -> Path:
        """List of the names of a part, one a line without their suffixes."""
        part = 'train' if percent == 100 else f'train.{seed}@{percent:g}'
        path = self.settings.out / 'labels' / f'{part}.txt'
        if not path.is_file():
            names = choose_part(self.pixels['train'], percent, seed)
            lines = ''.join(f'{name}\n' for name in sorted(names))
            write_durably(path, lines.encode())
        return path

    def metrics(
        self, logged: Mapping[str, float], cfg: Config
    ) -> dict[str, Any]:
        """Means over the classes, the share of right pixels, and each IoU."""
        each = {name: logged[f'IoU/{name}'] for name in self.classes}
        found: dict[str, Any] = {name: logged[name] for name in self.columns}
        return found | {
            'classes': {
                name: None if math.isnan(iou) else iou
                for name, iou in each.items()
            }
        }

    def class_metric(self, run: Mapping[str, Any]) -> str:
        """Name of the metric of each class: the IoU."""
        return 'IoU'

    def examples(
        self, models: Iterable[tuple[str, Any]]
    ) -> tuple[str, str, list[str]]:
        """Validation images with labels and predictions."""
        given, pixels = self.folders['val'], self.pixels['val']
        return segmentation_examples(models, pixels, given, self.classes)

    def _read_seen(self, part: str) -> SeenMasks:
        """What an earlier start of this command read, of the same options."""
        file = self._seen_file(part)
        if not file.is_file():
            return {}
        found: SeenMasks = {
            name: (stamp, pixels)
            for name, (stamp, pixels) in json.loads(file.read_text()).items()
        }
        return found

    def _seen_file(self, part: str) -> Path:
        # What a mask may hold depends on these.
        given = str((*self.folders[part], len(self.classes)))
        key = hash_of(given.encode())[:8]
        path = self.settings.out / 'masks' / f'{part}_{key}.json'
        return path

    def _total(self, part: str) -> NDArray[np.int64]:
        """Pixels of each class in all images, [number of classes]."""
        return np.sum(list(self.pixels[part].values()), axis=0)


def constant_miou(pixels: NDArray[np.int64]) -> float:
    r"""The mIoU of who gives all pixels the most frequent class, in per cent.

    .. math:: \frac{100}{|\{c : n_c > 0\}|} \max_c \frac{n_c}{\sum_k n_k}

    >>> float(constant_miou(np.array([80, 20, 0])))
    40.0

    Args:
        pixels: Pixels of each class in the labels, :math:`n_c`.
    """
    return float(100 * pixels.max() / pixels.sum() / np.count_nonzero(pixels))


def _images(folders: MaskFolders) -> bool:
    return any(folders.images.rglob(f'*{folders.img_suffix}'))


def _fits_a_line(name: str) -> bool:
    """Whether mmseg reads a name from a list as it is."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return name.splitlines() == [name] and name.strip() == name


def _hash_of_masks(folders: MaskFolders, names: Mapping[str, Any]) -> str:
    """Hash of names and contents of masks, in the order of their names."""
    found = hashlib.sha256()
    for name in sorted(names):
        file = folders.masks / f'{name}{folders.seg_map_suffix}'
        content = file.read_bytes()
        found.update(f'{name}:{len(content)}:'.encode())
        found.update(content)
    return found.hexdigest()
