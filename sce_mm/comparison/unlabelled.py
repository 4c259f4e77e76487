"""The unlabelled images: found once, and decoded once if regions are cut.

The output folder keeps what is known of them: ``unlabelled.json`` lists those
to pretrain on, ``copies.json`` the copies of validation images, which are left
out, and ``images`` is a cache of their pixels. Regions from the cache are
those from the files, bit for bit.
"""

import json
import os
import shutil
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from statistics import mean

from ..config.regions import TrainingImages
from ..datasets.images.file_lists import (
    find_images,
    read_image_list,
    write_image_list,
)
from ..datasets.images.image_cache import (
    ImageCache,
    StaleCacheError,
    build_cache,
)
from ..datasets.images.image_sizes import image_sizes
from ..datasets.images.loading import LoadCachedImage, LoadImage
from ..datasets.images.near_duplicates import find_copies
from ..utils.durable_files import write_json
from ..utils.errors import UserError, is_full
from ..utils.text import printable
from .progress import say

# Share of the free disk that the cache may take.
_SHARE = 0.5


class Unlabelled:
    """The images of ``--images``, without those of the validation.

    Args:
        folders: Where they are.
        out: Output folder of the comparison.

    Attributes:
        list_file: Names them to the pretrainings.
        cache: Their pixels, where they are kept.
        copies: Pairs ``first`` (of the validation), ``second`` (left out).
    """

    def __init__(self, folders: Sequence[Path], out: Path) -> None:
        self.folders = folders
        self.list_file = out / 'unlabelled.json'
        self.cache_folder = out / 'images'
        self.cache: ImageCache | None = None
        self.copies: list[dict[str, str]] = []
        self._copies_file = out / 'copies.json'
        self._runs = out / 'runs'
        self._images: TrainingImages | None = None

    @cached_property
    def paths(self) -> list[str]:
        """All images; those of the list as soon as there is one."""
        if self._copies_file.is_file():
            return read_image_list(str(self.list_file))
        try:
            return find_images([str(folder) for folder in self.folders])
        except (FileNotFoundError, NotADirectoryError) as error:
            raise UserError(f'--images: {error}') from error

    def require_images(self) -> None:
        """Find out that there are some.

        Raises:
            UserError: The folders have none.
        """
        self.paths  # noqa: B018

    def images(self) -> TrainingImages:
        """The images and how large some are, looked at once.

        Raises:
            UserError: None can be read.
        """
        if self._images is None:
            load = LoadImage()
            if cache := self.cache:
                load = LoadCachedImage(
                    str(cache.folder), None, False, cache.stretch
                )
            sizes = image_sizes(self.paths, load)
            if not sizes:
                raise UserError(
                    f'--images: none of {len(self.paths)} images can be read, '
                    f'{printable(self.paths[0])} for one'
                )
            self._images = TrainingImages(self.paths, sizes)
        return self._images

    def keep_pixels(
        self, stretch: Sequence[float] | None, workers: int
    ) -> None:
        """Make a cache of full size, unless it is there.

        Where it would take more than half of the free disk there is none.

        Args:
            stretch: As of ``LoadImage``.
            workers: Processes that decode.

        Raises:
            UserError: Trainings were made on images that have changed.
        """
        self.cache = self._kept()
        if self.cache:
            return
        folder, count = self.cache_folder, len(self.paths)
        # What a comparison left that was killed; no other writes here.
        for unfinished in folder.parent.glob(f'.{folder.name}.*'):
            shutil.rmtree(unfinished)
        pixels = mean(h * w for h, w in self.images().sizes)
        needed = 3 * pixels * count
        free = shutil.disk_usage(folder.parent).free
        if needed > _SHARE * free:
            say(
                f'a cache of {count} images would take about '
                f'{_gigabytes(needed)}, more than half of the '
                f'{_gigabytes(free)} that are free: each region decodes its '
                'file'
            )
            return
        say(
            f'the pixels of {count} images, about {_gigabytes(needed)}, go '
            f'into the cache {printable(str(folder))}, so that regions need '
            'not decode a file each'
        )
        source = os.path.commonpath(map(os.path.dirname, self.paths))
        try:
            build_cache(
                source, folder, None, workers, stretch, paths=self.paths
            )
        except OSError as error:
            if not is_full(error):
                raise
            say('the disk has no room for it: each region decodes its file')
            return
        self.cache = ImageCache(folder, check_source=False)

    def _kept(self) -> ImageCache | None:
        """The cache, if it has the images as they are now."""
        if not self.cache_folder.exists():
            return None
        problem = 'there are others'
        try:
            cache = ImageCache(self.cache_folder)
            if not cache.missing(self.paths):
                return cache
        except StaleCacheError as error:
            problem = str(error)
        if self._runs.exists():
            raise UserError(
                'the unlabelled images are not those that this comparison '
                f'began with ({problem}): name another OUT. If their pixels '
                f'are the same, remove {printable(str(self.cache_folder))}'
            )
        shutil.rmtree(self.cache_folder)
        return None

    def leave_out(self, names: Sequence[str], workers: int) -> None:
        """Leave validation images and near copies of them out.

        Args:
            names: Paths of the validation images.
            workers: Processes that decode.

        Raises:
            UserError: Nothing is left.
        """
        if not self._copies_file.is_file():
            # Validation images are decoded without a stretch.
            alike = self.cache and self.cache.stretch is None
            copies = find_copies(
                names, self.paths, self.cache if alike else None, workers
            )
            leaked = {copy.second for copy in copies}
            kept = [path for path in self.paths if path not in leaked]
            if not kept:
                raise UserError(
                    f'--images: all {len(leaked)} are copies of validation '
                    'images: nothing is left to pretrain on'
                )
            write_image_list(self.list_file, kept)
            write_json(self._copies_file, [copy._asdict() for copy in copies])
            self.paths = kept
        self.copies = json.loads(self._copies_file.read_text())
        # From here on their sizes are those of the list, and in the cache.
        self._images = None
        count = len(self.copies)
        say(
            f'{count} of {len(self.paths) + count} unlabelled images are '
            'validation images or near copies of them: left out'
        )


def _gigabytes(number: float) -> str:
    return f'{max(number / 1e9, 0.01):.3g} GB'
