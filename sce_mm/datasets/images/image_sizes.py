"""Read how large images are, without decoding them."""

from __future__ import annotations

import io
from collections.abc import Sequence

from mmengine import fileio

from ...utils.errors import UnreadableImageError
from .decoding import header_size, require_plain_file
from .loading import LoadCachedImage, LoadImage
from .shards import open_file


def image_sizes(
    paths: Sequence[str], load: LoadImage, most: int = 300
) -> list[tuple[int, int]]:
    """Height and width of images as a loading transform will give them.

    From the headers of the files, or from the cache. Of many images an even
    choice of the list is looked at, the same in every run; what cannot be
    read is left out.

    Args:
        paths: Paths of the images.
        load: ``LoadImage`` or ``LoadCachedImage`` of their pipeline.
        most: Number of images that are looked at.
    """
    count = min(most, len(paths))
    chosen = [paths[n * len(paths) // count] for n in range(count)]
    sizes = []
    for path in chosen:
        try:
            if isinstance(load, LoadCachedImage):
                sizes.append(load.cache.size(path))
            else:
                sizes.append(_in_header(path, load))
        except (OSError, UnreadableImageError):
            continue
    return sizes


def _in_header(path: str, load: LoadImage) -> tuple[int, int]:
    if load.backend_args is None and '://' not in path:
        require_plain_file(path)
        return header_size(open_file(path), load.apply_orientation)
    data = fileio.get(path, backend_args=load.backend_args)
    return header_size(io.BytesIO(data), load.apply_orientation)
