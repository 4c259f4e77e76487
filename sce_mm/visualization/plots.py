"""Draw curves and dots with error bars as SVG in a page.

Words of a drawing are text of the page, and names stand beside it in HTML.
Series differ in marker and dash as well as in colour, so that they can be
told apart in black and white.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from io import StringIO
from itertools import pairwise
from math import log10
from typing import TYPE_CHECKING, Any, NamedTuple

from .page import panel

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class _Look(NamedTuple):
    color: str
    marker: str
    linestyle: Any


_LOOKS = (
    _Look('#3d4650', 'o', '--'),
    _Look('#0b6bcb', 's', '-'),
    _Look('#b35900', '^', '-.'),
    _Look('#0a7a55', 'D', ':'),
    _Look('#7b3fa0', 'v', (0, (5, 1, 1, 1, 1, 1))),
    _Look('#a61e4d', 'P', (0, (8, 2))),
    _Look('#6b6400', 'X', (0, (2, 1))),
    _Look('#111111', '*', (0, (1, 3))),
)
_BARS: dict[str, Any] = {'elinewidth': 1.2, 'capsize': 3}
# Points of one x are drawn beside each other. All of them take this share of
# the way to the next x, and each at most this share of the axis.
_SPREAD, _APART = 0.5, 0.035
# A line of more points hides none without markers.
_FEW = 12
# Of an axis that spans this factor the parts of a decade count alike.
DECADE = 5


def curves(
    series: Mapping[str, Sequence[tuple[float, float]]],
    xlabel: str,
    ylabel: str,
    caption: str,
    levels: Mapping[str, float] | None = None,
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
        levels: Dashed levels, by their names.
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
    for name, level in (levels or {}).items():
        axes.axhline(level, linestyle='--', color='#888', linewidth=1)
        axes.annotate(
            name,
            (1, level),
            xycoords=('axes fraction', 'data'),
            ha='right',
            va='bottom',
            fontsize=8,
            color='#555',
            parse_math=False,
        )
    if log:
        axes.set_xscale('log')
    if spread:
        axes.set_xticks(steps, [f'{x:g}' for x in steps])
        axes.minorticks_off()
    axes.set(xlabel=xlabel, ylabel=ylabel)
    markers = all(len(points) < _FEW for points in series.values())
    names = list(series) if len(series) > 1 else []
    words = f'{ylabel} over {xlabel}: {", ".join(series)}'
    return _drawn(figure, words, caption, _legend(names, markers, notes or {}))


def dots(
    rows: Mapping[str, tuple[float, float | None]], xlabel: str, caption: str
) -> str:
    """A row with a dot and an error bar for each name.

    The axis begins at 0 if no value is below.

    Args:
        rows: Value, and half the width of its error bar if it has one.
        xlabel: Name of the values.
        caption: Text below the drawing.
    """
    figure = _figure(5.2, 0.6 + 0.36 * len(rows))
    axes = figure.subplots()
    for number, (name, (value, half)) in enumerate(rows.items()):
        style = _style(number, True) | {'linestyle': ''}
        bar = axes.errorbar([value], [number], xerr=half, **style, **_BARS)
        # A marker on the edge of the axes is whole.
        bar.lines[0].set_clip_on(False)
        text = f'{value:.1f}' if half is None else f'{value:.1f} ± {half:.1f}'
        for at, words, side in ((0, name, 'left'), (1, text, 'right')):
            axes.annotate(
                words,
                (at, number - 0.2),
                xycoords=('axes fraction', 'data'),
                ha=side,
                va='bottom',
                fontsize=9,
                parse_math=False,
            )
    axes.set(xlabel=xlabel, ylim=(len(rows) - 0.6, -0.9), yticks=[])
    axes.spines['left'].set_visible(False)
    axes.margins(x=0.08)
    if all(value >= 0 for value, _ in rows.values()):
        axes.set_xlim(left=0)
    words = '; '.join(
        f'{name} {value:.1f}' for name, (value, _) in rows.items()
    )
    return _drawn(figure, f'{xlabel}: {words}', caption, '')


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
        note = f'<small>{escape(notes[name])}</small>' if name in notes else ''
        entries.append(f'<li>{key}<span>{escape(name)}{note}</span></li>')
    return f'<ul class="legend">{"".join(entries)}</ul>' if entries else ''


def _drawn(figure: Figure, words: str, caption: str, legend: str) -> str:
    """The panel of a drawing; ``words`` are for who does not see it."""
    for axes in figure.axes:
        axes.spines[['top', 'right']].set_visible(False)
        axes.grid(alpha=0.25)
    note = f'<figcaption>{escape(caption)}</figcaption>'
    drawing = f'<div class="plot">{_svg(figure, words)}{legend}</div>'
    return panel([f'<figure>{drawing}{note}</figure>'])


def _svg(figure: Figure, words: str, hidden: bool = False) -> str:
    """A figure as an element of a page."""
    from matplotlib import rc_context

    text = StringIO()
    # Equal drawings have equal text; the salt keeps the ids of two apart.
    with rc_context({'svg.fonttype': 'none', 'svg.hashsalt': words}):
        figure.savefig(text, format='svg', metadata={'Date': None})
    svg = text.getvalue()
    # Matplotlib repeats texts in comments and names each group.
    for noise in (
        r'<!--.*?-->',
        r'<metadata>.*?</metadata>',
        r'<style.*?</style>',
        r'(?<=<g) id="[^"]*"',
    ):
        svg = re.sub(noise, '', svg, flags=re.DOTALL)
    label = f'role="img" aria-label="{escape(words)}"'
    svg = svg[svg.index('<svg') :]
    return svg.replace('<svg', f'<svg {"aria-hidden" if hidden else label}', 1)
