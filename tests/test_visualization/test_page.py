"""Pages of reports show text as text, and to those who do not see them."""

import re
from collections import defaultdict
from html.parser import HTMLParser
from operator import mul

import pytest

from sce_mm.visualization import page, plots
from sce_mm.visualization.style import STYLE

NASTY = '<script>alert("x")</script>&\'"><img src=x onerror=y>.png'


def test_no_text_becomes_markup():
    text = page.page(
        NASTY,
        [
            page.heading(NASTY, NASTY),
            page.paragraph(NASTY, NASTY),
            page.table([NASTY], [[NASTY, NASTY]], NASTY),
            page.subheading(NASTY),
            page.tiles([page.Tile(NASTY, NASTY, True, [(0, 0, NASTY)])], 90),
            page.folded(NASTY, NASTY),
            plots.curves({NASTY: [(0, 1), (1, 2)]}, NASTY, NASTY, NASTY),
            plots.dots({NASTY: (1.0, 0.5)}, NASTY, NASTY),
        ],
    )
    assert '<script' not in text
    assert '<img src=x' not in text
    # Nothing breaks out of an attribute either.
    assert '"><img' not in text
    assert text.count('&lt;script&gt;') >= 10


class Outline(HTMLParser):
    """What a page gives to who does not see it."""

    def __init__(self, text):
        super().__init__()
        self.found = defaultdict(list)
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found[tag].append(dict(attrs))


def test_a_page_can_be_read_without_seeing_it():
    picture = page.Tile('a.png', 'a cell', True, [(0, 0, '7')])
    text = page.page(
        'Cells',
        [
            page.title('It helps', 'Does it help?'),
            page.heading('All starts'),
            page.table(['', 'AP'], [['SCE', '-1.5'], ['none', '2']], 'AP'),
            page.subheading('Some cells'),
            page.tiles([picture, picture._replace(alt='a red cell')], 90),
            plots.curves({'SCE': [(0, 1), (4, 2.5)]}, 'step', 'AP', ''),
            plots.dots({'SCE': (1.0, 0.5), 'none': (2.0, None)}, 'AP', ''),
        ],
    )
    found = Outline(text).found
    assert [tag['lang'] for tag in found['html']] == ['en']
    assert len(found['title']) == len(found['h1']) == len(found['main']) == 1
    assert [tag['alt'] for tag in found['img']] == ['a cell', 'a red cell']
    scopes = ['col', 'row', 'row']
    assert [tag['scope'] for tag in found['th']] == scopes
    # A table that is wider than the page scrolls by the keyboard.
    (region,) = (tag for tag in found['div'] if tag.get('role') == 'region')
    assert region['tabindex'] == '0'
    assert region['aria-label'] == 'AP'
    # A drawing says what it shows, or text beside it does.
    drawings = [tag for tag in found['svg'] if 'x' not in tag]
    assert all(
        tag.get('aria-hidden') == 'true' or tag.get('role') == 'img'
        for tag in drawings
    )
    assert 'aria-label="AP over step: SCE, 1 to 2.5"' in text
    assert '1.0\xa0±\xa00.5' in text


def contrast(one, other):
    """Contrast of two colours by WCAG 2."""

    def luminance(colour):
        digits = colour[1:]
        if len(digits) == 3:
            digits = ''.join(2 * digit for digit in digits)
        parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        linear = [
            x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4
            for x in parts
        ]
        return sum(map(mul, (0.2126, 0.7152, 0.0722), linear))

    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_colours_can_be_told_from_their_ground(scheme):
    # The dark colours come second.
    named = re.findall(r'--([\w-]+): (#\w+);', STYLE)
    half = len(named) // 2
    colours = dict(named[:half] if scheme == 'light' else named[half:])
    for ground in (colours['ground'], colours['card']):
        for name in ('ink', 'soft', 'accent'):
            assert contrast(colours[name], ground) >= 4.5, name
        assert contrast(colours['rule'], ground) >= 3
        for name, colour in colours.items():
            if name.startswith(('series', 'right', 'wrong')):
                assert contrast(colour, ground) >= 3, name
    # Code stands on the colour of lines.
    assert contrast(colours['ink'], colours['line']) >= 4.5
    assert contrast(colours['soft'], colours['line']) >= 4.5
