"""Write HTML reports: one page with its text, tables, images and curves."""

import re
from collections.abc import Mapping, Sequence
from html import escape
from io import StringIO
from typing import NamedTuple

STYLE = """
:root { --ink: #1c2127; --soft: #5b6570; --line: #e1e5ea; --accent: #0b6bcb; }
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: #f6f7f9;
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1040px; margin: 0 auto; padding: 40px 28px 80px; }
h1 { font-size: 32px; font-weight: 700; line-height: 1.2; margin: 0 0 6px; }
h2 { font-size: 22px; font-weight: 600; margin: 44px 0 8px; }
h3 { font-size: 16px; font-weight: 600; margin: 18px 0 4px; }
p { margin: 6px 0 12px; max-width: 74ch; }
.soft, figcaption { color: var(--soft); font-size: 14px; }
.answer { font-size: 19px; margin: 18px 0 26px; }
.cards { display: grid; gap: 14px;
  grid-template-columns: repeat(auto-fit, minmax(210px, 1fr)); }
.card { background: #fff; border: 1px solid var(--line); border-radius: 10px;
  padding: 16px 18px; }
.card b { display: block; font-size: 36px; font-weight: 600; line-height: 1.2;
  color: var(--accent); }
.card .from { color: var(--soft); font-size: 15px; }
.panel { background: #fff; border: 1px solid var(--line);
  border-radius: 10px; padding: 16px 18px; margin: 12px 0; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric:
  tabular-nums; }
th, td { text-align: right; padding: 7px 10px;
  border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; }
tr:last-child td { border-bottom: 0; }
th { color: var(--soft); font-weight: 600; font-size: 14px; }
figure { margin: 0; } figure img { width: 100%; height: auto; }
figure svg { width: 100%; height: auto; }
.two { display: grid; gap: 14px;
  grid-template-columns: repeat(auto-fit, minmax(min(400px, 100%), 1fr)); }
.tiles { display: flex; flex-wrap: wrap; gap: 8px; margin: 0 0 14px; }
.tiles figure { width: var(--side); max-width: 100%; }
.sharp img { image-rendering: pixelated; }
.tiles figcaption { color: var(--ink); font-size: 13px; line-height: 1.3; }
.image { position: relative; border: 3px solid transparent; }
.image img { display: block; }
.yes .image { border-color: #0b6bcb; }
.no .image { border: 3px dashed #b35900; }
.tag { position: absolute; padding: 0 3px; color: #fff; background: #000b;
  font: 600 12px/1.25 system-ui, sans-serif; }
code, pre { font: 13px/1.5 ui-monospace, "SF Mono", Consolas, monospace; }
pre { white-space: pre-wrap; word-break: break-all; margin: 0; }
"""


def page(title: str, body: Sequence[str]) -> str:
    """A whole document."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f'<title>{escape(title)}</title><style>{STYLE}</style></head>'
        f'<body><main>{"".join(body)}</main></body></html>\n'
    )


def heading(text: str, note: str = '') -> str:
    """A section's title and what it shows."""
    paragraph = f'<p class="soft">{escape(note)}</p>' if note else ''
    return f'<h2>{escape(text)}</h2>{paragraph}'


def subheading(text: str) -> str:
    """A title within a section."""
    return f'<h3>{escape(text)}</h3>'


def paragraph(text: str, kind: str = '') -> str:
    """A paragraph of plain text."""
    return f'<p class="{escape(kind)}">{escape(text)}</p>'


def cards(items: Sequence[tuple[str, str, str]]) -> str:
    """Name, value and comparison, side by side."""
    inner = ''.join(
        f'<div class="card">{escape(name)}<b>{escape(value)}</b>'
        f'<span class="from">{escape(note)}</span></div>'
        for name, value, note in items
    )
    return f'<div class="cards">{inner}</div>'


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in a panel."""
    top = ''.join(f'<th>{escape(cell)}</th>' for cell in head)
    lines = ''.join(
        '<tr>' + ''.join(f'<td>{escape(cell)}</td>' for cell in row) + '</tr>'
        for row in rows
    )
    return panel([f'<table><tr>{top}</tr>{lines}</table>'])


class Tile(NamedTuple):
    """A small image.

    Attributes:
        source: Address of the image, see
            :func:`~sce_mm.visualization.sheets.data_uri`.
        caption: Text below it.
        right: Whether it is as it should be; None if that is not asked. The
            frame shows it (whole or dashed), so the caption has to say it too.
        tags: Words on the image: share of its width from the left, of its
            height from the top, and the word.
    """

    source: str
    caption: str
    right: bool | None = None
    tags: Sequence[tuple[float, float, str]] = ()


def tiles(row: Sequence[Tile], side: int, sharp: bool = False) -> str:
    """Small images beside each other, each ``side`` pixels wide.

    ``sharp`` enlarges them with their pixels visible.
    """
    kinds = {True: 'yes', False: 'no', None: ''}
    inner = ''.join(
        f'<figure class="{kinds[tile.right]}"><div class="image">\n'
        f'<img src="{escape(tile.source)}" alt="{escape(tile.caption)}">'
        + ''.join(
            f'<span class="tag" style="left:{100 * left:.1f}%;'
            f'top:{100 * top:.1f}%">{escape(word)}</span>'
            for left, top, word in tile.tags
        )
        + f'</div><figcaption>{escape(tile.caption)}</figcaption></figure>'
        for tile in row
    )
    kind = 'tiles sharp' if sharp else 'tiles'
    return f'<div class="{kind}" style="--side:{side}px">{inner}</div>'


def panel(parts: Sequence[str]) -> str:
    """A white panel around what belongs together."""
    return f'<div class="panel">{"".join(parts)}</div>'


def side_by_side(parts: Sequence[str]) -> str:
    """Panels beside each other where there is room."""
    return f'<div class="two">{"".join(parts)}</div>'


def listing(text: str) -> str:
    """Commands, as they were run."""
    return panel([f'<pre>{escape(text)}</pre>'])


def folded(title: str, text: str) -> str:
    """A long text that opens on a click."""
    return (
        f'<details class="panel"><summary>{escape(title)}</summary>'
        f'<pre>{escape(text)}</pre></details>'
    )


def curves(
    series: Mapping[str, Sequence[tuple[float, float]]],
    xlabel: str,
    ylabel: str,
    caption: str,
    levels: Mapping[str, float] | None = None,
    spread: Mapping[str, Sequence[float]] | None = None,
) -> str:
    """Lines over steps as a drawing in the page.

    Args:
        series: Points of each line, by its name.
        xlabel: Name of the steps.
        ylabel: Name of the values.
        caption: Text below the drawing.
        levels: Dashed levels, by their names.
        spread: Half the height of an error bar at each point of a line.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2, 2.8))
    axes = figure.subplots()
    for name, points in series.items():
        axes.errorbar(
            [x for x, _ in points],
            [y for _, y in points],
            yerr=(spread or {}).get(name),
            label=name,
            linewidth=1.6,
            capsize=3,
            # A line through few points, or through one, would hide them.
            marker='o' if len(points) < 12 else None,
            markersize=4,
        )
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
        )
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.spines[['top', 'right']].set_visible(False)
    axes.grid(alpha=0.25)
    if len(series) > 1:
        axes.legend(frameon=False, fontsize=9)
    figure.tight_layout()
    text = StringIO()
    figure.savefig(text, format='svg', metadata={'Date': None})
    # Matplotlib repeats every text in a comment.
    svg = re.sub(r'<!--.*?-->', '', text.getvalue(), flags=re.DOTALL)
    svg = svg[svg.index('<svg') :]
    note = f'<figcaption>{escape(caption)}</figcaption>'
    return panel([f'<figure>{svg}{note}</figure>'])
