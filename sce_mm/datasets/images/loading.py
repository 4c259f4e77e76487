"""Load an image file of any common kind; report a broken one once."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine import fileio
from mmpretrain.registry import TRANSFORMS
from numpy.typing import NDArray

from ...utils.errors import UnreadableImageError
from ...utils.progress import warn
from ...utils.text import printable
from ..samplers import SampleIndex
from .decoding import (
    cache_advice,
    decode_image,
    require_plain_file,
)
from .image_cache import ImageCache, StaleCacheError
from .levels import as_stretch
from .shards import read_file

# Images of more pixels are warned of in training.
_SLOW_PIXELS = 20_000_000


class ReportedFiles:
    """Which files were reported, known to all workers of a data loader.

    A plain set would report each broken file once a worker and epoch. The
    first 4096 paths are remembered in shared memory as 63-bit digests.
    """

    def __init__(self) -> None:
        self._digests = torch.zeros(4096, dtype=torch.int64).share_memory_()

    def is_new(self, path: str) -> bool:
        """Whether ``path`` was not asked about before; remembers it."""
        raw = hashlib.blake2b(path.encode(errors='replace'), digest_size=8)
        digest = (int.from_bytes(raw.digest(), 'big') >> 1) | 1
        if bool((self._digests == digest).any()):
            return False
        free = torch.nonzero(self._digests == 0)
        if len(free):
            self._digests[free[0]] = digest
        return True


@TRANSFORMS.register_module()
class LoadImage(BaseTransform):
    """Read ``results['img_path']`` to ``results['img']``, uint8 BGR.

    Grey, RGBA (on white), 16-bit, CMYK, palette and animated files (first
    frame) all become [h, w, 3] uint8. A file that is missing, empty,
    truncated, too large or no image gives None and one warning with its
    path; in training the data set then takes another image. Training on
    images that are decoded slowly gives one warning, which names the cache.

    Args:
        apply_orientation: Turn the image as its EXIF tag says, as mmcv's
            loader and image viewers do (torchvision does not).
        backend_args: Where files lie, see ``mmengine.fileio.get``. Defaults
            to what the path says (local disk, http, ...).
        stretch: Levels that become black and white in images of more than 8
            bits, such as (0, 4095) for 12 bits. Defaults to all 16 bits.

    Raises:
        UserError: ``stretch`` is not a range.
    """

    def __init__(
        self,
        apply_orientation: bool = True,
        backend_args: dict[str, Any] | None = None,
        stretch: Sequence[float] | None = None,
    ) -> None:
        self.apply_orientation = apply_orientation
        self.backend_args = backend_args and dict(backend_args)
        self.stretch = as_stretch(stretch)
        self._reported = ReportedFiles()

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Load the image, or return None if it cannot be read."""
        path = results['img_path']
        try:
            image = self._read(results)
        except (OSError, UnreadableImageError) as error:
            if self._reported.is_new(path):
                warn(
                    f'cannot read the image {printable(path)} '
                    f'({printable(str(error))})'
                )
            return None
        shapes = dict.fromkeys(('img_shape', 'ori_shape'), image.shape[:2])
        return {**results, 'img': image, **shapes}

    def reason(self, results: dict[str, Any]) -> str:
        """Why an image cannot be read, which is tried; empty if it can."""
        try:
            self._read(results)
        except OSError as error:
            return printable(error.strerror or str(error))
        except UnreadableImageError as error:
            return printable(str(error))
        return ''

    def _read(self, results: dict[str, Any]) -> NDArray[np.uint8]:
        path = results['img_path']
        start = time.perf_counter()
        if self.backend_args is None and '://' not in path:
            require_plain_file(path)
            data = read_file(path)
        else:
            data = fileio.get(path, backend_args=self.backend_args)
        image = decode_image(data, self.apply_orientation, self.stretch)
        height, width = image.shape[:2]
        # An evaluation reads each image once; training samples it again.
        is_sample = isinstance(results.get('sample_idx'), SampleIndex)
        is_slow = is_sample and height * width > _SLOW_PIXELS
        # No path is empty.
        if is_slow and self._reported.is_new(''):
            seconds = time.perf_counter() - start
            _warn_of_slow_decoding(height, width, seconds)
        return image


@TRANSFORMS.register_module()
class LoadCachedImage(LoadImage):
    """In place of :class:`LoadImage`: pixels of a cache, for any data set.

    The paths of the data set stay those of the source. Images that were
    larger than the cache's ``short_side`` come shrunk, so small crops of
    them are enlarged from fewer pixels than those of the source. A cache of
    full size has the pixels of the source, and ``CutRegion`` after it reads
    no more of a large image than the region.

    Args:
        cache: Folder that sce cache made.
        source: Where the images of the data set lie now, if not where they
            lay then.
        check_source: Whether to compare all files with the cache at
            construction; without, the source need not be there.
        stretch: The ``stretch`` that the cache was made with.

    Raises:
        FileNotFoundError: No cache, or no source to compare with.
        StaleCacheError: The source has changed, the cache is damaged, or was
            made with another ``stretch``.
    """

    def __init__(
        self,
        cache: str,
        source: str | None = None,
        check_source: bool = True,
        stretch: Sequence[float] | None = None,
    ) -> None:
        super().__init__(stretch=stretch)
        self.cache = ImageCache(cache, source, check_source)
        if self.cache.stretch != self.stretch:
            raise StaleCacheError(
                f'the cache {self.cache.folder} was made with '
                f'stretch={self.cache.stretch}, and LoadCachedImage has '
                f'stretch={self.stretch}: give it that of the cache, or '
                'build the cache again'
            )

    def _read(self, results: dict[str, Any]) -> NDArray[np.uint8]:
        return self.cache.read(results['img_path'])


def _warn_of_slow_decoding(height: int, width: int, seconds: float) -> None:
    size = '--short-side 512, or --full-size where regions are cut out'
    warn(
        f'reading an image of {width} x {height} pixels took {seconds:.2f} '
        's, and every sample takes that again, each region of an image too. '
        f'To train faster, {cache_advice(size)} (not said again)'
    )
