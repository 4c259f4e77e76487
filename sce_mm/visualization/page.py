"""Write HTML reports: one page with its text, tables and images."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

STYLE = """
:root { --ink: #1c2127; --soft: #5b6570; --line: #e1e5ea; --accent: #0b6bcb; }
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: #f6f7f9;
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1040px; margin: 0 auto; padding: 40px 28px 80px; }
h1 { font-size: 28px; font-weight: 650; line-height: 1.25; margin: 0 0 8px; }
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
td { white-space: nowrap; } th { vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; white-space: normal; }
tr:last-child td { border-bottom: 0; }
th { color: var(--soft); font-weight: 600; font-size: 14px; }
figure { margin: 0; } figure img { width: 100%; height: auto; }
.plot { display: flex; flex-wrap: wrap; gap: 8px 24px; align-items: center; }
.plot > svg { flex: 3 1 380px; min-width: 0; max-width: 720px; height: auto;
  stroke-linejoin: round; }
.plot text { font-family: inherit !important; }
.legend small { display: block; color: var(--soft); }
ul.legend { flex: 1 1 200px; list-style: none; margin: 0; padding: 0;
  font-size: 15px; line-height: 1.3; }
.legend li { display: flex; align-items: center; gap: 8px; margin: 6px 0; }
.legend svg { flex: none; width: 48px; height: auto; }
@media (max-width: 760px) { .plot > svg { flex-basis: 100%; }
  main { padding: 20px 12px 40px; } h1 { font-size: 24px; }
  .panel { padding: 12px; } }
.two { display: grid; gap: 14px;
  grid-template-columns: repeat(auto-fit, minmax(min(400px, 100%), 1fr)); }
.tiles { display: flex; flex-wrap: wrap; gap: 8px; margin: 0 0 14px; }
.tiles figure { width: min(var(--side),
  calc((100% + 8px) / var(--columns) - 8px)); }
.sharp img { image-rendering: pixelated; }
.tiles figcaption { color: var(--ink); font-size: 13px; line-height: 1.3; }
.image { position: relative; border: 3px solid transparent; }
.image img { display: block; outline: 1px solid var(--line);
  outline-offset: -1px; }
.yes .image { border-color: #0b6bcb; }
.no .image { border: 3px dashed #b35900; }
.boxes { position: absolute; inset: 0; width: 100%; height: 100%;
  fill: none; stroke-linecap: round; overflow: visible; }
.boxes rect { vector-effect: non-scaling-stroke; stroke: #fff;
  stroke-width: 4px; }
.boxes .line { stroke: #0b6bcb; stroke-width: 2px; }
.boxes .wrong { stroke: #b35900; stroke-dasharray: 7 5; }
.boxes .missed { stroke: #000; stroke-dasharray: 0 5; stroke-width: 3px; }
.tag { position: absolute; padding: 0 3px; color: #fff; background: #000b;
  font: 600 12px/1.25 system-ui, sans-serif; }
details > summary { cursor: pointer; font-weight: 600; }
.kicker { color: var(--soft); font-size: 14px; margin: 0 0 6px; }
ol, ul { padding-left: 22px; max-width: 78ch; }
li { margin: 6px 0; }
code, pre { font: 13px/1.5 ui-monospace, "SF Mono", Consolas, monospace; }
pre { white-space: pre-wrap; word-break: break-all; margin: 0; }
@media print { body { background: #fff; } main { padding: 0; }
  .panel, .tiles, tr { break-inside: avoid; }
  .tag { color: #000; background: #fff; border: 1px solid #000; } }
"""


def page(title: str, body: Sequence[str]) -> str:
    """A whole document."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f'<title>{escape(title)}</title><style>{STYLE}</style></head>'
        f'<body><main>{"".join(body)}</main></body></html>\n'
    )


def title(answer: str, kicker: str) -> str:
    """The title of a page, below a line that says what it is about."""
    return f'<p class="kicker">{escape(kicker)}</p><h1>{escape(answer)}</h1>'


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


def numbered(sentences: Sequence[str]) -> str:
    """Sentences in their order."""
    return f'<ol>{_items(sentences)}</ol>'


def listed(sentences: Sequence[str]) -> str:
    """Sentences in a list."""
    return f'<ul>{_items(sentences)}</ul>'


def _items(sentences: Sequence[str]) -> str:
    return ''.join(f'<li>{escape(sentence)}</li>' for sentence in sentences)


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


class Box(NamedTuple):
    """A rectangle on an image, in shares of its width and height.

    Attributes:
        left: Of its left edge.
        top: Of its upper edge.
        width: Its width.
        height: Its height.
        kind: ``'right'`` is a whole line, ``'wrong'`` a dashed and
            ``'missed'`` a dotted one.
        words: What the pointer shows.
    """

    left: float
    top: float
    width: float
    height: float
    kind: str = 'right'
    words: str = ''

    def drawn(self) -> str:
        """Two elements: a light ground, so that it shows on all images."""
        place = ' '.join(
            f'{name}="{100 * value:.2f}%"'
            for name, value in zip(
                ('x', 'y', 'width', 'height'), self[:4], strict=True
            )
        )
        note = f'<title>{escape(self.words)}</title>' if self.words else ''
        return (
            f'<rect {place}/><rect class="line {escape(self.kind)}" {place}>'
            f'{note}</rect>'
        )


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
        boxes: Rectangles on the image.
        alt: What the image shows, for who cannot see it. Defaults to the
            caption.
    """

    source: str
    caption: str
    right: bool | None = None
    tags: Sequence[tuple[float, float, str]] = ()
    boxes: Sequence[Box] = ()
    alt: str = ''


def tile_side(count: int) -> int:
    """Side of tiles of which so many stand in one row of a panel, pixels."""
    return 920 // count - 12


def tiles(
    row: Sequence[Tile], side: int, sharp: bool = False, columns: int = 2
) -> str:
    """Small images beside each other, each ``side`` pixels wide.

    ``sharp`` enlarges them with their pixels visible. On a narrow page they
    shrink until ``columns`` of them fit into a row.
    """
    kinds = {True: 'yes', False: 'no', None: ''}
    inner = ''.join(
        f'<figure class="{kinds[tile.right]}"><div class="image">\n'
        f'<img src="{escape(tile.source)}" '
        f'alt="{escape(tile.alt or tile.caption)}">'
        + _overlay(tile.boxes)
        + ''.join(
            f'<span class="tag" style="left:{100 * left:.1f}%;'
            f'top:{100 * top:.1f}%">{escape(word)}</span>'
            for left, top, word in tile.tags
        )
        + f'</div><figcaption>{escape(tile.caption)}</figcaption></figure>'
        for tile in row
    )
    kind = 'tiles sharp' if sharp else 'tiles'
    return (
        f'<div class="{kind}" style="--side:{side}px;--columns:{columns}">'
        f'{inner}</div>'
    )


def _overlay(boxes: Sequence[Box]) -> str:
    drawn = ''.join(box.drawn() for box in boxes)
    return f'<svg class="boxes">{drawn}</svg>' if boxes else ''


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
    return fold(title, [f'<pre>{escape(text)}</pre>'])


def fold(title: str, parts: Sequence[str]) -> str:
    """A part of the page that opens on a click."""
    return (
        f'<details class="panel"><summary>{escape(title)}</summary>'
        f'{"".join(parts)}</details>'
    )
