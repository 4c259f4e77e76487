"""Sheets of images for a page: queries beside their nearest neighbours.

Images are ``[h, w, 3]`` uint8 BGR, as in OpenCV.
"""

import base64
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from ..datasets.images.decoding import decode_image
from ..datasets.images.shards import read_file
from ..evaluation.images import FolderImages
from ..evaluation.neighbours import nearest
from ..utils.text import printable
from .page import Tile, panel, subheading, tiles

# Pixels of the page.
SIDE = 98
# Pixels of a photograph along its width: twice those of the page.
WIDTH = 480
# Images that lie in one row on a narrow page too.
_SHORT = 6


def data_uri(image: np.ndarray, photo: bool = False) -> str:
    """Address of an image that is embedded in its page.

    A ``photo`` is compressed as JPEG, to about a tenth.
    """
    kind, options = 'png', []
    if photo:
        kind, options = 'jpeg', [cv2.IMWRITE_JPEG_QUALITY, 85]
    _, encoded = cv2.imencode(f'.{kind}', image, options)
    text = base64.b64encode(encoded.tobytes()).decode()
    return f'data:image/{kind};base64,{text}'


def at_page_width(image: np.ndarray) -> np.ndarray:
    """A photograph ``[h, w, 3]``, :data:`WIDTH` pixels wide."""
    height, width = image.shape[:2]
    how = cv2.INTER_AREA if width > WIDTH else cv2.INTER_CUBIC
    size = WIDTH, round(WIDTH * height / width)
    return cv2.resize(image, size, interpolation=how)


def read_image(path: str) -> np.ndarray:
    """Image of a file ``[h, w, 3]``, turned as its EXIF tag says.

    The file may lie in a tar.
    """
    return decode_image(read_file(path))


def centre_square(path: str, side: int) -> np.ndarray:
    """Central square of an image file, ``[side, side, 3]``.

    Small images are enlarged with their pixels visible.
    """
    image = read_image(path)
    height, width = image.shape[:2]
    short = min(height, width)
    top, left = (height - short) // 2, (width - short) // 2
    square = image[top : top + short, left : left + short]
    how = cv2.INTER_NEAREST if short < side else cv2.INTER_AREA
    return cv2.resize(square, (side, side), interpolation=how)


def neighbour_sheet(
    name: str,
    images: FolderImages,
    features: Tensor,
    queries: Sequence[int],
    shown: int = 8,
    picture: Callable[[int], np.ndarray] | None = None,
    side: int = SIDE,
) -> str:
    """Panel of some images, each beside its nearest neighbours.

    Below each neighbour stands its cosine similarity and its class, and the
    title says how many neighbours of all images are of the right class.

    Args:
        name: Name of the network.
        images: Files and, if they are known, classes of the images.
        features: Their features ``[N, D]``.
        queries: Indices of the images that the rows begin with.
        shown: Neighbours in a row.
        picture: Gives the photograph of an index ``[h, w, 3]``. By default
            it is the central square of its file.
        side: Pixels of the page along a side of an image.
    """

    def tile(index: int, text: str, query: int | None, what: str) -> Tile:
        if picture is None:
            square = centre_square(images.paths[index], side)
        else:
            square = picture(index)
        right, class_name = _relation(images, index, query)
        uri = data_uri(square, photo=picture is not None)
        if picture is None:
            what += f', {printable(Path(images.paths[index]).name)}'
        if images.labels:
            what += f', {images.classes[images.labels[index]]}'
        return Tile(uri, text + class_name, right, alt=what)

    # All images count for the title, if there is something to count.
    among = range(len(features)) if images.labels else queries
    indices, similarities = neighbours_within(features, among, shown)
    title = name
    if images.labels:
        labels = torch.tensor(images.labels)
        share = (labels[indices] == labels[:, None]).double().mean().item()
        title += (
            f': {100 * share:.0f} % of the {shown} nearest are of the class'
        )
    rows = [subheading(title)]
    for number, query in enumerate(queries, 1):
        at = among.index(query)
        row = [tile(query, 'query', None, f'query {number}')]
        for place, (index, similarity) in enumerate(
            zip(indices[at].tolist(), similarities[at].tolist(), strict=True),
            1,
        ):
            what = f'neighbour {place} of query {number}'
            row.append(tile(index, f'{similarity:.3f}', query, what))
        # A short row stays a row on a phone.
        columns = len(row) if len(row) <= _SHORT else 2
        rows.append(tiles(row, side, picture is None, columns))
    return panel(rows)


def neighbours_within(
    features: Tensor, queries: Sequence[int], shown: int
) -> tuple[Tensor, Tensor]:
    """Nearest other images of some images, and their cosine similarities.

    Args:
        features: Features of all images ``[N, D]``.
        queries: Indices of the Q images whose neighbours are wanted.
        shown: Number of neighbours K.

    Returns:
        Indices ``[Q, K]`` and similarities ``[Q, K]``, descending.

    >>> features = torch.tensor([[1.0, 0.0], [3.0, 1.0], [0.0, 1.0]])
    >>> neighbours_within(features, [0, 1], 1)[0]
    tensor([[1],
            [0]])
    """
    own = torch.tensor(queries)[:, None]
    indices, similarities = nearest(features, features[own[:, 0]], shown + 1)
    other = indices != own
    # Among more than K copies of itself an image may be missing.
    other[:, -1] &= other.sum(dim=1) <= shown
    shape = len(own), shown
    return indices[other].view(shape), similarities[other].view(shape)


def choose_queries(images: FolderImages, count: int, seed: int) -> list[int]:
    """Images at random, one of each class first if there are classes."""
    order = np.random.default_rng(seed).permutation(len(images.paths)).tolist()
    if not images.labels:
        return order[:count]
    seen: Counter[int] = Counter()
    ranked = []
    for index in order:
        label = images.labels[index]
        ranked.append((seen[label], label, index))
        seen[label] += 1
    return [index for _, _, index in sorted(ranked)[:count]]


def _relation(
    images: FolderImages, index: int, query: int | None
) -> tuple[bool | None, str]:
    """Whether an image is of the class of the query, and words for it."""
    if not images.labels:
        return None, ''
    label = images.labels[index]
    right = None if query is None else label == images.labels[query]
    return right, ', ' + ('same class' if right else images.classes[label])
