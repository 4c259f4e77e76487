"""Draw curves and dots with error bars as SVG in a page.

Words of a drawing are text of the page, and names stand beside it in HTML.
Series differ in marker and dash as well as in colour, so that they can be
told apart in black and white. Colours are those of the page, light or dark.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from io import StringIO
from itertools import pairwise
from math import log10
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .page import panel, text
from .style import SERIES

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class _Look(NamedTuple):
    color: str
    marker: str
    linestyle: Any


_DASHES = (
    '--',
    '-',
    '-.',
    ':',
    (0, (5, 1, 1, 1, 1, 1)),
    (0, (8, 2)),
    (0, (2, 1)),
    (0, (1, 3)),
)
_LOOKS = tuple(
    _Look(light, marker, dash)
    for (light, _), marker, dash in zip(
        SERIES, 'os^DvPX*', _DASHES, strict=True
    )
)
# What matplotlib draws in a colour, and what the page has for it.
_AXES, _GRID = '#010101', '#020202'
_VARIABLES = {
    _AXES: 'var(--rule)',
    _GRID: 'var(--line)',
    **{
        look.color: f'var(--series-{number})'
        for number, look in enumerate(_LOOKS)
    },
}
_BARS: dict[str, Any] = {'elinewidth': 1.2, 'capsize': 3}
# Points of one x are drawn beside each other. All of them take this share of
# the way to the next x, and each at most this share of the axis.
_SPREAD, _APART = 0.5, 0.035
# A line of more points hides none without markers.
_FEW = 12
# Steps that span this factor are shown on a logarithmic axis.
DECADE = 5


def curves(
    series: Mapping[str, Sequence[tuple[float, float]]],
    xlabel: str,
    ylabel: str,
    caption: str,
    spread: Mapping[str, Sequence[float]] | None = None,
    notes: Mapping[str, str] | None = None,
) -> str:
    """Lines over steps as a drawing in the page.

    With error bars the points of one step lie beside each other, ticks are at
    the steps, the axis is logarithmic if it spans more than ``DECADE``, and
    the points stand out from the lines.

    Args:
        series: Points of each line, by its name.
        xlabel: Name of the steps.
        ylabel: Name of the values.
        caption: Text below the drawing.
        spread: Half the height of an error bar at each point of a line.
        notes: Text behind the name of a line.
    """
    figure = _figure(5.2, 3.2)
    axes = figure.subplots()
    steps = sorted({x for points in series.values() for x, _ in points})
    log = bool(spread) and steps[-1] > DECADE * max(steps[0], 1e-9)
    places = [log10(x) if log else x for x in steps]
    ways = [b - a for a, b in pairwise(places)]
    apart = 0.0
    if spread and ways:
        apart = min(_SPREAD * min(ways) / len(series), _APART * sum(ways))
    for number, (name, points) in enumerate(series.items()):
        beside = apart * (number - (len(series) - 1) / 2)
        xs = [x * 10**beside if log else x + beside for x, _ in points]
        ys = [y for _, y in points]
        style = _style(number, len(points) < _FEW)
        if spread:
            axes.plot(xs, ys, **style | {'marker': None, 'alpha': 0.45})
            style['linestyle'] = ''
        yerr = (spread or {}).get(name)
        axes.errorbar(xs, ys, yerr=yerr, **style, **_BARS)
    if log:
        axes.set_xscale('log')
    if spread:
        axes.set_xticks(steps, [f'{x:g}' for x in steps])
        axes.minorticks_off()
    axes.set(xlabel=xlabel, ylabel=ylabel)
    markers = all(len(points) < _FEW for points in series.values())
    names = list(series) if len(series) > 1 else []
    words = f'{ylabel} over {xlabel}: ' + '; '.join(
        f'{name}, {points[0][1]:.3g} to {points[-1][1]:.3g}'
        for name, points in series.items()
    )
    return _drawn(figure, words, caption, _legend(names, markers, notes or {}))


def dots(
    rows: Mapping[str, tuple[float, float | None]], xlabel: str, caption: str
) -> str:
    """A row with a dot and an error bar for each name.

    Names and values are text beside the drawing, which shows nothing else.
    The axis begins at 0 if no value is below.

    Args:
        rows: Value, and half the width of its error bar if it has one.
        xlabel: Name of the values.
        caption: Text below the drawing.
    """
    from matplotlib.ticker import MaxNLocator

    ends = [v + sign * (half or 0) for v, half in rows.values()
            for sign in (-1, 1)]  # fmt: skip
    low, high = min(0.0, *ends), max(*ends)
    if all(value >= 0 for value, _ in rows.values()):
        low = 0.0
    high = low + 1.04 * max(high - low, 1e-9)

    def place(value: float) -> str:
        return f'{100 * (value - low) / (high - low):.2f}%'

    ticks = [x for x in MaxNLocator(5).tick_values(low, high)
             if low <= x <= high]  # fmt: skip
    grid = ''.join(
        f'<line class="grid" x1="{place(x)}" x2="{place(x)}" y2="100%"/>'
        for x in ticks
    )
    lines = ''
    for number, (name, (value, half)) in enumerate(rows.items()):
        shown, bar = f'{value:.1f}', ''
        if half is not None:
            shown += f' ± {half:.1f}'
            left, right = place(max(low, value - half)), place(value + half)
            bar = f'<line x1="{left}" x2="{right}" y1="50%" y2="50%"/>'
            bar += ''.join(
                f'<svg x="{x}" y="50%" overflow="visible">'
                '<line y1="-5" y2="5"/></svg>'
                for x in (left, right)
            )
        colour = f'var(--series-{number % len(SERIES)})'
        lines += (
            f'<li><span>{text(name)}</span> '
            f'<span class="value">{text(shown)}</span>'
            f'<svg aria-hidden="true">{grid}'
            f'<g style="stroke:{colour};fill:{colour}">{bar}'
            f'<svg x="{place(value)}" y="50%" overflow="visible">'
            f'{_marker(_LOOKS[number % len(_LOOKS)].marker)}</svg></g></svg>'
            '</li>'
        )
    scale = ''.join(
        f'<span style="left:{place(x)}">{text(f"{x:g}")}</span>' for x in ticks
    )
    return panel([
        f'<figure><ul class="dots" aria-label="{escape(xlabel)}">{lines}'
        f'<li aria-hidden="true"><div class="axis">{scale}{text(xlabel)}'
        f'</div></li></ul><figcaption>{text(caption)}</figcaption></figure>'
    ])  # fmt: skip


def _marker(name: str) -> str:
    """A marker of matplotlib around the origin, as a polygon."""
    from matplotlib.markers import MarkerStyle
    from matplotlib.transforms import Affine2D

    style = MarkerStyle(name)
    way = style.get_transform() + Affine2D().scale(9, -9)
    corners = style.get_path().to_polygons(way)[0]
    points = ' '.join(f'{x:.1f},{y:.1f}' for x, y in np.asarray(corners))
    return f'<polygon points="{points}"/>'


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout='constrained')


def _style(number: int, markers: bool) -> dict[str, Any]:
    """How the series of a number is drawn."""
    look = _LOOKS[number % len(_LOOKS)]
    return look._asdict() | {
        'marker': look.marker if markers else None,
        'markersize': 5.5,
        'linewidth': 1.5,
    }


def _legend(
    names: Sequence[str], markers: bool, notes: Mapping[str, str]
) -> str:
    """Names in HTML, each beside a piece of its line."""
    entries = []
    for number, name in enumerate(names):
        figure = _figure(0.5, 0.2)
        axes = figure.subplots()
        # The marker is in the middle.
        axes.plot([0, 1, 2], [0] * 3, markevery=[1], **_style(number, markers))
        axes.axis('off')
        key = _svg(figure, f'key of {name}', hidden=True)
        note = f'<small>{text(notes[name])}</small>' if name in notes else ''
        entries.append(f'<li>{key}<span>{text(name)}{note}</span></li>')
    return f'<ul class="legend">{"".join(entries)}</ul>' if entries else ''


def _drawn(figure: Figure, words: str, caption: str, legend: str) -> str:
    """The panel of a drawing; ``words`` are for who does not see it."""
    for axes in figure.axes:
        axes.spines[['top', 'right']].set_visible(False)
        axes.spines[['left', 'bottom']].set_color(_AXES)
        axes.tick_params(color=_AXES)
        # On a narrow page the words are larger.
        axes.yaxis.labelpad = 9
        axes.grid(color=_GRID)
    note = f'<figcaption>{text(caption)}</figcaption>'
    drawing = f'<div class="plot">{_svg(figure, words)}{legend}</div>'
    return panel([f'<figure>{drawing}{note}</figure>'])


def _svg(figure: Figure, words: str, hidden: bool = False) -> str:
    """A figure as an element of a page."""
    from matplotlib import rc_context

    drawn = StringIO()
    # Equal drawings have equal text; the salt keeps the ids of two apart.
    with rc_context({'svg.fonttype': 'none', 'svg.hashsalt': words}):
        figure.savefig(
            drawn, format='svg', metadata={'Date': None}, transparent=True
        )
    svg = drawn.getvalue()
    # Matplotlib repeats texts in comments and names each group.
    for noise in (
        r'<!--.*?-->',
        r'<metadata>.*?</metadata>',
        r'<style.*?</style>',
        r'(?<=<g) id="[^"]*"',
    ):
        svg = re.sub(noise, '', svg, flags=re.DOTALL)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, variable)
    seen = f'role="img" aria-label="{escape(words)}"'
    label = 'aria-hidden="true"' if hidden else seen
    return svg[svg.index('<svg') :].replace('<svg', f'<svg {label}', 1)
