"""Write HTML reports: one page with its text, tables and images."""

import re
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from .style import STYLE

# Numbers stay with their units and signs, which are those of print.
_PRINTED = (
    (re.compile(r'(?<=\d) (?=%|px\b)'), '\xa0'),
    (re.compile(r'(?<=[=±<]) (?=\d)'), '\xa0'),
    (re.compile(r'(?<=[\dp]) (?=[=±<]\xa0)'), '\xa0'),
    (re.compile(r'(?<![^\s(])-(?=\d)'), '\N{MINUS SIGN}'),
)
_CODE = re.compile(r'`([^`\n]+)`')


def page(title: str, body: Sequence[str]) -> str:
    """A whole document."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f'<title>{escape(title)}</title><style>{STYLE}</style></head>'
        f'<body><main>{"".join(body)}</main></body></html>\n'
    )


def text(words: str) -> str:
    """Words as a part of a page: `` `code` `` is set as code.

    >>> text('With `--seeds 0`: -3.0 < p')
    'With <code><span>--seeds</span> <span>0</span></code>: \u22123.0 &lt; p'
    """
    # Odd parts are code.
    parts = _CODE.split(words)
    parts[::2] = map(_printed, parts[::2])
    parts = [*map(escape, parts)]
    # A line does not end within an option.
    parts[1::2] = (
        '<code>'
        + ' '.join(f'<span>{word}</span>' for word in part.split(' '))
        + '</code>'
        for part in parts[1::2]
    )
    return ''.join(parts)


def _printed(words: str) -> str:
    for pattern, sign in _PRINTED:
        words = pattern.sub(sign, words)
    return words


def title(answer: str, kicker: str) -> str:
    """The title of a page, below a line that says what it is about."""
    return f'<p class="kicker">{text(kicker)}</p><h1>{text(answer)}</h1>'


def heading(words: str, note: str = '') -> str:
    """A section's title and what it shows."""
    paragraph = f'<p class="soft">{text(note)}</p>' if note else ''
    return f'<h2>{text(words)}</h2>{paragraph}'


def subheading(words: str) -> str:
    """A title within a section."""
    return f'<h3>{text(words)}</h3>'


def paragraph(words: str, kind: str = '') -> str:
    """A paragraph; none without words."""
    if not words:
        return ''
    return f'<p class="{escape(kind)}">{text(words)}</p>'


def numbered(sentences: Sequence[str]) -> str:
    """Sentences in their order."""
    return f'<ol>{_items(sentences)}</ol>'


def listed(sentences: Sequence[str]) -> str:
    """Sentences in a list."""
    return f'<ul>{_items(sentences)}</ul>'


def _items(sentences: Sequence[str]) -> str:
    return ''.join(f'<li>{text(sentence)}</li>' for sentence in sentences)


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], name: str
) -> str:
    """A table in a panel; the first cell of a row is its heading.

    Args:
        head: Names of the columns; nothing names a column that needs none.
        rows: Their cells.
        name: What the table holds, for who cannot see the title above it. On
            a narrow page the table scrolls, by the keyboard as well.
    """
    top = ''.join(
        f'<th scope="col">{text(cell)}</th>' if cell else '<td></td>'
        for cell in head
    )
    lines = ''.join(
        f'<tr><th scope="row">{text(first)}</th>'
        + ''.join(f'<td>{text(cell)}</td>' for cell in cells)
        + '</tr>'
        for first, *cells in rows
    )
    return (
        '<div class="panel scroll" role="region" tabindex="0" '
        f'aria-label="{escape(name)}"><table><thead><tr>{top}</tr></thead>'
        f'<tbody>{lines}</tbody></table></div>'
    )


class Box(NamedTuple):
    """A rectangle on an image, in shares of its width and height.

    Attributes:
        left: Left edge.
        top: Upper edge.
        width: Width.
        height: Height.
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
        tags: Words on the image, for the eye alone: share of its width from
            the left, of its height from the top, and the word.
        boxes: Rectangles on the image.
        alt: What the image shows, for who cannot see it. Defaults to the
            caption, which is then heard twice.
    """

    source: str
    caption: str
    right: bool | None = None
    tags: Sequence[tuple[float, float, str]] = ()
    boxes: Sequence[Box] = ()
    alt: str = ''


# Pixels inside a panel of a wide page, and between tiles.
_PANEL, _GAP = 946, 8


def tile_side(count: int) -> int:
    """Side of tiles of which so many stand in one row of a panel, pixels.

    >>> tile_side(7), tile_side(9)
    (128, 98)
    """
    return (_PANEL + _GAP) // count - _GAP


def tiles(
    row: Sequence[Tile],
    side: int,
    sharp: bool = False,
    columns: int = 2,
    across: int | None = None,
) -> str:
    """Small images beside each other, each ``side`` pixels wide.

    ``sharp`` enlarges them with their pixels visible. They shrink until
    ``across`` of them fit into a row, by default as many as a panel of a wide
    page has room for; on a narrow page until ``columns`` of them do.
    """
    room = (_PANEL + _GAP) // (side + _GAP)
    across = across or max(columns, min(len(row), room))
    kinds = {True: 'yes', False: 'no', None: ''}
    inner = ''.join(
        f'<figure class="{kinds[tile.right]}"><div class="image">\n'
        f'<img src="{escape(tile.source)}" '
        f'alt="{escape(tile.alt or tile.caption)}">'
        + _overlay(tile.boxes)
        + ''.join(
            '<span class="tag" aria-hidden="true" style="'
            f'left:{100 * left:.1f}%;top:{100 * top:.1f}%">'
            f'{escape(word)}</span>'
            for left, top, word in tile.tags
        )
        + f'</div><figcaption>{text(tile.caption)}</figcaption></figure>'
        for tile in row
    )
    kind = 'tiles sharp' if sharp else 'tiles'
    return (
        f'<div class="{kind}" style="--side:{side}px;--across:{across};'
        f'--columns:{columns}">'
        f'{inner}</div>'
    )


def _overlay(boxes: Sequence[Box]) -> str:
    drawn = ''.join(box.drawn() for box in boxes)
    return (
        f'<svg class="boxes" aria-hidden="true">{drawn}</svg>' if boxes else ''
    )


def panel(parts: Sequence[str]) -> str:
    """A white panel around what belongs together."""
    return f'<div class="panel">{"".join(parts)}</div>'


def side_by_side(parts: Sequence[str]) -> str:
    """Panels beside each other where there is room."""
    return f'<div class="two">{"".join(parts)}</div>'


def folded(title: str, code: str) -> str:
    """A long text that opens on a click."""
    return fold(title, [f'<pre>{escape(code)}</pre>'])


def fold(title: str, parts: Sequence[str]) -> str:
    """A part of the page that opens on a click."""
    return (
        f'<details class="panel"><summary>{text(title)}</summary>'
        f'{"".join(parts)}</details>'
    )
