"""Pages of reports show text as text."""

from sce_mm.visualization import page, plots

NASTY = '<script>alert("x")</script>&\'"><img src=x onerror=y>.png'


def test_no_text_becomes_markup():
    text = page.page(
        NASTY,
        [
            page.heading(NASTY, NASTY),
            page.paragraph(NASTY, NASTY),
            page.cards([(NASTY, NASTY, NASTY)]),
            page.table([NASTY], [[NASTY, NASTY]], NASTY),
            page.subheading(NASTY),
            page.tiles([page.Tile(NASTY, NASTY, True, [(0, 0, NASTY)])], 90),
            page.listing(NASTY),
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
