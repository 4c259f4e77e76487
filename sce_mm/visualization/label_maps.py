"""Draw what segmentors predict in an image beside its labels.

Each class has a colour, and each pixel that was given a wrong one is hatched,
so that right and wrong differ in more than the colour.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from html import escape

import cv2
import numpy as np
from numpy.typing import NDArray

from .page import Tile, tiles
from .sheets import at_page_width, data_uri

IGNORED = 255
# Share of the colour of a class on an image; the rest is the grey image.
_OPACITY = 0.65
# Pixels from one line of a hatching to the next, and of a line.
_PERIOD, _LINE = 12, 3
# The palette of Okabe and Ito, which colour-blind readers can tell apart.
_COLOURS = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)
# Where no label counts.
_LEFT_OUT = (60, 60, 60)
LEGEND = (
    'Each class has its colour. Pixels that were given a wrong class are '
    'hatched, and what the labels leave out is dark grey.'
)


def palette(count: int) -> list[list[int]]:
    """Colours of classes, RGB of 0 to 255, the first ones the same for all.

    >>> palette(1)
    [[230, 159, 0]]
    """
    return [list(colour) for colour in _colours(count)]


@cache
def _colours(count: int) -> tuple[tuple[int, ...], ...]:
    """Colours of the palette, then each the least like those before it."""
    levels = np.arange(30, 256, 25)
    candidates = np.stack(np.meshgrid(levels, levels, levels), -1)
    candidates = candidates.reshape(-1, 3)
    places = _lab(candidates)
    chosen: list[tuple[int, ...]] = [*_COLOURS[:count]]
    taken = _lab(np.array([*chosen, _LEFT_OUT]))
    nearest = np.linalg.norm(places[:, None] - taken, axis=-1).min(1)
    while len(chosen) < count:
        best = nearest.argmax()
        chosen.append(tuple(map(int, candidates[best])))
        distances = np.linalg.norm(places - places[best], axis=-1)
        nearest = np.minimum(nearest, distances)
    return tuple(chosen)


def _lab(colours: NDArray[np.integer]) -> NDArray[np.float32]:
    """Colours ``[n, 3]`` where distances are as they are seen (CIELAB)."""
    rgb = (colours[None] / 255).astype(np.float32)
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB)[0].astype(np.float32)


def map_row(
    image: NDArray[np.uint8],
    truth: NDArray[np.uint8],
    found: Mapping[str, NDArray[np.integer]],
    side: int,
    classes: int,
) -> str:
    """Tiles of one image: the image, its labels, then each prediction.

    Args:
        image: The image ``[h, w, 3]``, BGR.
        truth: Class of each pixel ``[h, w]``, 255 where none counts.
        found: Predictions ``[h, w]`` by the name of the segmentor.
        side: Pixels of the page along the width of a tile.
        classes: How many there are.
    """
    counts = truth != IGNORED
    row = [
        Tile(data_uri(at_page_width(image), photo=True), 'Image'),
        Tile(_drawn(image, truth, counts, classes), 'Labels'),
    ]
    for name, labels in found.items():
        wrong = counts & (labels != truth)
        share = 1 - wrong.sum() / max(counts.sum(), 1)
        row.append(
            Tile(
                _drawn(image, labels, counts, classes, wrong),
                f'{name}: {100 * share:.0f} % of the pixels right',
            )
        )
    return tiles(row, side)


def colour_legend(classes: Sequence[str]) -> str:
    """The colour of each class, and what a hatching means."""
    colours = (f'rgb({r},{g},{b})' for r, g, b in palette(len(classes)))
    hatched = 'repeating-linear-gradient(45deg,#000 0 2px,#bbb 2px 8px)'
    grounds = [*zip(classes, colours, strict=True), ('wrong class', hatched)]
    inner = ''.join(
        f'<span class="key"><span style="background:{ground}"></span> '
        f'{escape(name)}</span>'
        for name, ground in grounds
    )
    return f'<p class="soft">{inner}</p>'


def _drawn(
    image: NDArray[np.uint8],
    labels: NDArray[np.integer],
    counts: NDArray[np.bool_],
    classes: int,
    wrong: NDArray[np.bool_] | None = None,
) -> str:
    """Address of an image under the colours of its classes."""
    grey = cv2.cvtColor(at_page_width(image), cv2.COLOR_BGR2GRAY)[..., None]
    height, width = grey.shape[:2]

    def enlarged(values: NDArray) -> NDArray:
        whole = values.astype(np.uint8)
        size = (width, height)
        return cv2.resize(whole, size, interpolation=cv2.INTER_NEAREST)

    table = np.full((IGNORED + 1, 3), _LEFT_OUT, np.uint8)
    table[:classes] = np.array(palette(classes))[:, ::-1]
    shown = enlarged(np.where(counts, labels, IGNORED))
    canvas = (1 - _OPACITY) * grey + _OPACITY * table[shown]
    if wrong is not None:
        rows, columns = np.indices((height, width))
        place = (rows + columns) % _PERIOD
        inside = enlarged(wrong) > 0
        canvas[inside & (place < _LINE)] = 0
        # Beside each dark line a light one, which shows on dark colours.
        canvas[inside & (place >= _LINE) & (place < _LINE + 1)] = 255
    return data_uri(canvas.astype(np.uint8), photo=True)
