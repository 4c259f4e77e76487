"""Reports as one page of HTML, with nothing from outside."""

import re
from collections.abc import Sequence
from html import escape
from io import StringIO

import matplotlib

matplotlib.use('agg')
import matplotlib.pyplot as plt

STYLE = """
:root { --ink: #1c2127; --soft: #5b6570; --line: #e1e5ea; --accent: #0b6bcb; }
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: #f6f7f9;
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1040px; margin: 0 auto; padding: 40px 28px 80px; }
h1 { font-size: 34px; font-weight: 300; line-height: 1.2; margin: 0 0 6px; }
h2 { font-size: 22px; font-weight: 400; margin: 44px 0 8px; }
p { margin: 6px 0 12px; max-width: 74ch; }
.soft, figcaption { color: var(--soft); font-size: 14px; }
.answer { font-size: 19px; font-weight: 300; margin: 18px 0 26px; }
.cards { display: grid; gap: 14px;
  grid-template-columns: repeat(auto-fit, minmax(210px, 1fr)); }
.card { background: #fff; border: 1px solid var(--line); border-radius: 10px;
  padding: 16px 18px; }
.card b { display: block; font-size: 36px; font-weight: 300; line-height: 1.2;
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
th { color: var(--soft); font-weight: 400; font-size: 14px; }
figure { margin: 0; } figure img { width: 100%; height: auto; }
figure svg { max-width: 100%; height: auto; }
.two { display: grid; gap: 14px;
  grid-template-columns: repeat(auto-fit, minmax(400px, 1fr)); }
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
    return f'<div class="panel"><table><tr>{top}</tr>{lines}</table></div>'


def picture(source: str, caption: str) -> str:
    """A picture that the page carries in itself."""
    return (
        f'<div class="panel"><figure><img src="{escape(source)}" '
        f'alt="{escape(caption)}"><figcaption>{escape(caption)}</figcaption>'
        '</figure></div>'
    )


def side_by_side(parts: Sequence[str]) -> str:
    """Panels beside each other where there is room."""
    return f'<div class="two">{"".join(parts)}</div>'


def listing(text: str) -> str:
    """Commands, as they were run."""
    return f'<div class="panel"><pre>{escape(text)}</pre></div>'


def folded(title: str, text: str) -> str:
    """A long text that opens when it is asked for."""
    return (
        f'<details class="panel"><summary>{escape(title)}</summary>'
        f'<pre>{escape(text)}</pre></details>'
    )


def curves(
    series: dict[str, Sequence[tuple[float, float]]],
    xlabel: str,
    ylabel: str,
    caption: str,
    levels: dict[str, float] | None = None,
    spread: dict[str, Sequence[float]] | None = None,
) -> str:
    """Lines over steps as a drawing in the page.

    Args:
        series: Points of each line, by its name.
        xlabel: Of the axis.
        ylabel: Of the axis.
        caption: Below the drawing.
        levels: Dashed levels, by their names.
        spread: Half the height of an error bar at each point of a line.
    """
    figure, axes = plt.subplots(figsize=(5.4, 3.2))
    for name, points in series.items():
        # A line through few points, or through one, would hide them.
        marker = 'o' if len(points) < 12 else None
        axes.errorbar(
            [x for x, _ in points],
            [y for _, y in points],
            yerr=(spread or {}).get(name),
            label=name,
            linewidth=1.6,
            capsize=3,
            marker=marker,
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
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.spines[['top', 'right']].set_visible(False)
    axes.grid(alpha=0.25)
    if len(series) > 1:
        axes.legend(frameon=False, fontsize=9)
    figure.tight_layout()
    text = StringIO()
    figure.savefig(text, format='svg', metadata={'Date': None})
    plt.close(figure)
    drawing = text.getvalue()
    # Matplotlib repeats every text in a comment.
    drawing = re.sub(r'<!--.*?-->', '', drawing, flags=re.DOTALL)
    drawing = drawing[drawing.index('<svg') :]
    return (
        f'<div class="panel"><figure>{drawing}<figcaption>{escape(caption)}'
        '</figcaption></figure></div>'
    )
