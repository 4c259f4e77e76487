"""Maps of features in the plane, by t-SNE or UMAP.

Distances are cosine distances, as in the loss and in the kNN evaluation. A
map shows who is near whom; distances between far groups mean nothing.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..utils.errors import import_optional

Floats = NDArray[np.float64]

METHODS = ('tsne', 'umap')


def project(
    features: Floats, method: str = 'tsne', nearby: float = 30, seed: int = 0
) -> Floats:
    """Points ``[N, 2]`` of features ``[N, D]``.

    Args:
        features: Any norm.
        method: One of ``METHODS``.
        nearby: How many neighbours count: perplexity of t-SNE, number of
            neighbours of UMAP.
        seed: Of the start.

    Raises:
        ValueError: Too few images for so many neighbours.
        ImportError: The library is not there.
    """
    if method not in METHODS:
        raise ValueError(
            f'method must be one of {", ".join(METHODS)}, got {method!r}'
        )
    if not 1 < nearby < len(features):
        raise ValueError(
            f'the number of neighbours must be between 1 and the '
            f'{len(features)} images, got {nearby:g}: take more images or '
            'fewer neighbours'
        )
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    unit = features / np.maximum(norms, 1e-12)
    mapper = _tsne(nearby, seed) if method == 'tsne' else _umap(nearby, seed)
    return np.asarray(mapper.fit_transform(unit), dtype=np.float64)


def _tsne(nearby: float, seed: int) -> Any:
    from sklearn.manifold import TSNE

    # On unit vectors Euclidean distances rank as cosine distances do.
    return TSNE(perplexity=nearby, init='pca', random_state=seed)


def _umap(nearby: float, seed: int) -> Any:
    umap = import_optional('umap', 'umap-learn', 'take --method tsne')
    return umap.UMAP(
        n_neighbors=round(nearby), metric='cosine', random_state=seed
    )


def spread_out(points: Floats, gap: float) -> list[int]:
    """Indices of points that are ``gap`` apart in both directions at least.

    Greedy in the order of the points.

    Args:
        points: ``[N, 2]``, scaled to the unit square.
        gap: Smallest distance, in sides of the square.
    """
    kept: list[int] = []
    for index, point in enumerate(points):
        offsets = np.abs(points[kept] - point).max(axis=1)
        if not (offsets < gap).any():
            kept.append(index)
    return kept


def unit_square(points: Floats) -> Floats:
    """Points moved and scaled to fill the unit square."""
    low, high = points.min(axis=0), points.max(axis=0)
    return np.asarray((points - low) / np.maximum(high - low, 1e-12))


def class_colours(count: int) -> list[Any]:
    """A colour for each class, told apart as well as that many can be."""
    import matplotlib

    for name, size in (('tab10', 10), ('tab20', 20)):
        if count <= size:
            return list(matplotlib.colormaps[name](range(count)))
    return list(matplotlib.colormaps['turbo'](np.linspace(0.03, 0.97, count)))


def draw_map(
    axes: Any,
    points: Floats,
    labels: Sequence[int],
    classes: Sequence[str],
    thumbnails: Sequence[NDArray[np.uint8]] = (),
) -> None:
    """Draw one map.

    Args:
        axes: Of matplotlib.
        points: ``[N, 2]``.
        labels: Class of each point; empty without.
        classes: Names of the classes.
        thumbnails: Picture of each point ``[side, side, 3]`` RGB, drawn where
            it covers no other; none for dots alone.
    """
    square = unit_square(points)
    colours = class_colours(len(classes))
    dots = [colours[label] for label in labels] or '#5b6570'
    axes.scatter(*square.T, c=dots, s=9, linewidths=0, alpha=0.85)
    if thumbnails:
        half = 0.021
        for index in spread_out(square, 2.1 * half):
            x, y = square[index]
            edge = colours[labels[index]] if labels else '#ffffff'
            axes.imshow(
                thumbnails[index],
                extent=(x - half, x + half, y - half, y + half),
                zorder=2,
            )
            axes.plot(
                x + half * np.array([-1, 1, 1, -1, -1]),
                y + half * np.array([-1, -1, 1, 1, -1]),
                color=edge,
                linewidth=1.4 if labels else 0.4,
                zorder=3,
            )
    axes.set(xlim=(-0.04, 1.04), ylim=(-0.04, 1.04), aspect='equal')
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_color('#e1e5ea')
