"""Draw maps of features in the plane by t-SNE.

Distances are cosine distances, as in the loss and in the kNN evaluation. A
map shows who is near whom; distances between far groups mean nothing.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from ..evaluation.images import FolderImages
from ..utils.errors import UserError, import_optional
from ..utils.progress import track
from .sheets import centre_square

Floats = NDArray[np.float64]

# More names of classes than that are no help.
LEGEND = 24


def project(features: Floats, perplexity: float = 30, seed: int = 0) -> Floats:
    """Points ``[N, 2]`` of features ``[N, D]`` by t-SNE.

    Args:
        features: Features of any norm.
        perplexity: About how many neighbours count.
        seed: Seed of the start.

    Raises:
        UserError: There are too few images for so many neighbours.
        MissingPackageError: scikit-learn is not there.
    """
    check_perplexity(perplexity, len(features))
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    # On unit vectors Euclidean distances rank as cosine distances do.
    unit = features / np.maximum(norms, 1e-12)
    tsne = import_optional('sklearn.manifold', 'scikit-learn').TSNE(
        perplexity=perplexity, init='pca', random_state=seed
    )
    return np.asarray(tsne.fit_transform(unit), dtype=np.float64)


def check_perplexity(perplexity: float, images: int) -> None:
    """Raise ``UserError`` if there are too few images for it."""
    if not 1 < perplexity < images:
        raise UserError(
            f'--nearby (perplexity): must be between 1 and the {images} '
            f'images, got {perplexity:g}: take more images or fewer neighbours'
        )


def spread_out(points: Floats, gap: float) -> list[int]:
    """Indices of points ``[N, 2]`` of which no two are closer than ``gap``.

    Greedy in the order of the points; distance is the larger of both axes.
    """
    kept: list[int] = []
    for index, point in enumerate(points):
        offsets = np.abs(points[kept] - point).max(axis=1)
        if not (offsets < gap).any():
            kept.append(index)
    return kept


def class_colours(count: int) -> list[Any]:
    """A colour for each class, as different as that many can be."""
    if count <= 20:
        name = 'tab10' if count <= 10 else 'tab20'
        return list(matplotlib.colormaps[name](range(count)))
    return list(matplotlib.colormaps['turbo'](np.linspace(0.03, 0.97, count)))


def draw_maps(
    maps: Mapping[str, Floats], images: FolderImages, thumbnails: bool
) -> Figure:
    """A panel for each network, and the classes beside them.

    Args:
        maps: Points ``[N, 2]`` by the name of the network.
        images: Their files and, if they are known, classes.
        thumbnails: Whether to draw images on the points also where there are
            classes.
    """
    tiles = []
    if thumbnails or not images.labels:
        tiles = [
            centre_square(path, 64)[..., ::-1]
            for path in track(images.paths, 'Thumbnails')
        ]
    figure = Figure((6.4 * len(maps), 6.6), layout='constrained')
    panels = figure.subplots(1, len(maps), squeeze=False)[0]
    colours = class_colours(len(images.classes))
    for axes, (name, points) in zip(panels, maps.items(), strict=True):
        _draw_map(axes, points, [colours[x] for x in images.labels], tiles)
        axes.set_title(name, fontsize=11, loc='left')
    if 0 < len(images.classes) <= LEGEND:
        dot = partial(Line2D, [], [], marker='o', linestyle='')
        handles = [dot(color=colour) for colour in colours]
        figure.legend(
            handles, images.classes, loc='outside right center', frameon=False
        )
    return figure


def _draw_map(
    axes: Any,
    points: Floats,
    colours: Sequence[Any],
    tiles: Sequence[NDArray[np.uint8]],
) -> None:
    """Draw one map; images lie where they cover no other."""
    low, high = points.min(axis=0), points.max(axis=0)
    square = (points - low) / np.maximum(high - low, 1e-12)
    dots = colours or '#5b6570'
    axes.scatter(*square.T, c=dots, s=9, linewidths=0, alpha=0.85)
    half = 0.021
    for index in spread_out(square, 2.1 * half) if tiles else ():
        x, y = square[index]
        place = (x - half, x + half, y - half, y + half)
        axes.imshow(tiles[index], extent=place, zorder=2)
        axes.plot(
            x + half * np.array([-1, 1, 1, -1, -1]),
            y + half * np.array([-1, -1, 1, 1, -1]),
            color=colours[index] if colours else '#ffffff',
            linewidth=1.4 if colours else 0.4,
            zorder=3,
        )
    axes.set(xlim=(-0.04, 1.04), ylim=(-0.04, 1.04), aspect='equal')
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_color('#e1e5ea')
